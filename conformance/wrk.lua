-- Sends one kind of request and prints one line of JSON at the end. Arguments: METHOD, and the length of its body.

local threads = {}

function setup(thread)
   table.insert(threads, thread)
end

local function increment(counts, key)
   counts[key] = (counts[key] or 0) + 1
end

-- Who answered, where an application says so, and which statuses there were that are no success.
local function look(status, headers)
   if status >= 400 then
      increment(refused, tostring(status))
   elseif headers["x-pid"] then
      increment(answered, headers["x-pid"])
   end
end

function init(args)
   refused, answered = {}, {} -- global, so that done() can get them
   wrk.method = args[1]
   local length = tonumber(args[2])
   if length > 0 then
      wrk.body = string.rep("x", length)
      wrk.headers["Content-Type"] = "application/octet-stream"
   end
   response = look
end

-- The sums of a table that each thread has, as JSON.
local function sums(name)
   local all, parts = {}, {}
   for _, thread in ipairs(threads) do
      for key, count in pairs(thread:get(name)) do
         all[key] = (all[key] or 0) + count
      end
   end
   for key, count in pairs(all) do
      table.insert(parts, string.format('"%s": %d', key, count))
   end
   return "{" .. table.concat(parts, ", ") .. "}"
end

function done(summary, latency)
   local errors = summary.errors
   io.write(string.format(
      '\n{"requests": %d, "seconds": %f, "connect": %d, "read": %d, "write": %d, "timeout": %d, "status": %d, ' ..
      '"p50": %f, "p99": %f, "longest": %f, "refused": %s, "answered": %s}\n',
      summary.requests, summary.duration / 1e6, errors.connect, errors.read, errors.write, errors.timeout,
      errors.status, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3, latency.max / 1e3,
      sums("refused"), sums("answered")))
end
