
const lives = document.getElementById("lives"), told = document.getElementById("told");
const SHOWN = 120000, LEAST = 20000, EVERY = 500, ROWS = 6;  // milliseconds, and processes

// A row of the picture, with a bar for each time that something was there.
function row(table, name) {
  const line = table.insertRow(), head = document.createElement("th");
  head.scope = "row";
  head.textContent = name;
  line.append(head);
  const lane = line.insertCell().appendChild(document.createElement("div")), now = line.insertCell();
  lane.className = "lane";
  now.textContent = "\u00a0";
  return { line, lane, now, spans: [] };
}

const kept = document.getElementById("kept");
const socketRow = row(kept, "the socket"), newsRow = row(kept, "the request"), processes = new Map();
const seconds = (from) => ((performance.now() - from) / 1000).toFixed(0) + " s";

function seen(kind, number) {
  const key = kind + " " + number;
  if (!processes.has(key)) {
    const made = row(document.getElementById("processes"), key);
    made.line.dataset.kind = kind;
    made.spans.push({ from: performance.now(), to: performance.now() });
    processes.set(key, made);
    if (processes.size > ROWS) {
      const [oldest, { line }] = processes.entries().next().value;
      line.remove();
      processes.delete(oldest);
    }
    return true;
  }
  processes.get(key).spans[0].to = performance.now();
  return false;
}

// The socket. It is opened again if it should be closed, and says how often: what this page is about is that it never is.
let socket = null, opens = 0;
function openSocket() {
  socket = webSocket(lives.dataset.count);
  let span = null, before = null;
  socket.onopen = () => {
    opens += 1;
    span = { from: performance.now(), to: null };
    socketRow.spans.push(span);
  };
  socket.onmessage = (event) => {
    const { process, messages, seconds: age } = JSON.parse(event.data);
    seen("plain functions", process);
    if (before !== null && before !== process) {
      told.textContent = "Process " + process + " has the socket's messages now, " + before + " had them before. It is the same socket.";
    }
    before = process;
    socketRow.now.textContent = "open for " + age.toFixed(0) + " s, " + messages + " messages, opened "
      + (opens === 1 ? "once" : opens + " times");
  };
  socket.onclose = () => {
    if (span) span.to = performance.now();
    socketRow.now.textContent = "closed";
    setTimeout(openSocket, 1000);
  };
}

// A name for this page, so that news for it do not answer other visitors' requests.
const visitor = Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
const news = lives.dataset.news + "?visitor=" + visitor;

async function waitForNews() {
  for (;;) {
    const span = { from: performance.now(), to: null };
    newsRow.spans.push(span);
    try {
      const answer = await (await fetch(news, { cache: "no-store" })).json();
      if (answer.news) {
        newsRow.last = "; before, process " + answer.process + " answered after " + seconds(span.from);
      }
    } catch (error) {
      newsRow.last = "; before, the request was lost after " + seconds(span.from);
      span.to = performance.now();
      await new Promise((resolve) => setTimeout(resolve, 1000));
    }
    span.to ??= performance.now();
  }
}

// A view's process that was started after this page was opened has replaced another one: let it answer the request that
// one of its predecessors took.
const started = new Set();
async function ask() {
  try {
    const { process, started: at } = await (await fetch(lives.dataset.process, { cache: "no-store" })).json();
    seen("views", process);
    if (at > Number(lives.dataset.now) && !started.has(process)) {
      started.add(process);
      await fetch(news, { method: "POST" });
    }
  } catch (error) {
    // The server is gone; the rows say when it was last there.
  }
}

function paint() {
  const now = performance.now(), from = Math.max(0, now - SHOWN), span = Math.max(LEAST, now - from);
  for (const { lane, spans } of [socketRow, newsRow, ...processes.values()]) {
    while (lane.children.length < spans.length) lane.append(document.createElement("i"));
    spans.forEach((each, n) => {
      const left = Math.max(each.from, from), right = Math.max(left, each.to ?? now);
      lane.children[n].style.left = 100 * (left - from) / span + "%";
      lane.children[n].style.width = 100 * (right - left) / span + "%";
    });
  }
  for (const { now: cell, spans } of processes.values()) {
    const silent = now - spans[0].to;
    cell.textContent = silent < 2000 ? "answers" : "last answered " + seconds(spans[0].to) + " ago";
  }
  const waiting = newsRow.spans[newsRow.spans.length - 1];
  newsRow.now.textContent = "waits for " + seconds(waiting.from) + (newsRow.last ?? "");
}

const copy = document.getElementById("copy");
if (navigator.clipboard) show(copy);
copy.addEventListener("click", async () => {
  await navigator.clipboard.writeText(document.getElementById("command").textContent);
  document.getElementById("copied").textContent = "Copied.";
});

openSocket();
waitForNews();
setInterval(() => {
  if (socket.readyState === WebSocket.OPEN) socket.send("?");
  ask();
  paint();
}, EVERY);
paint();
