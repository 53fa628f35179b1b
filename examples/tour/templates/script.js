"use strict";
const part = (id, what) => document.querySelector("#" + id + " " + what);
const show = (...elements) => elements.forEach((element) => { element.hidden = false; });
// Buttons are for those who have scripts; without, each heading is a link.
show(...document.querySelectorAll("button[data-url]"));

// Draws one request: the time it waited for a connection, then the time it ran, on a scale of `span` milliseconds.
function draw(lane, span, waited, ran) {
  const percent = (milliseconds) => 100 * milliseconds / span + "%";
  lane.children[0].style.width = percent(waited);
  lane.children[1].style.left = percent(waited);
  lane.children[1].style.width = percent(ran);
  lane.children[2].style.left = percent(waited);
}

// Sends one request and draws it; `begun` is when all of them were asked for. The number in the URL tells the browser's
// own measurement of this request, which knows when a connection was free, from the others.
async function sleepOnce(url, number, begun, lane) {
  const own = new URL(url + "?" + Math.round(begun) + "-" + number, location.href).href;
  const worker = await (await fetch(own, { cache: "no-store" })).json();
  const timing = performance.getEntriesByName(own).pop();
  const end = performance.now() - begun;
  const sent = timing && timing.requestStart ? Math.max(0, timing.requestStart - begun) : 0;
  lane.lastChild.textContent = "process " + worker.process + ", " + worker.thread;
  return { lane, sent, end, process: worker.process };
}

async function sleepAll(button) {
  const timeline = part("sleep", ".timeline"), output = part("sleep", "output");
  button.disabled = true;
  output.textContent = "Sleeping\u2026";
  timeline.replaceChildren();
  show(timeline, part("sleep", ".note"));
  performance.clearResourceTimings();
  const begun = performance.now();
  const requests = Array.from({ length: 8 }, (_, number) => {
    const lane = document.createElement("div");
    lane.className = "lane";
    lane.append(document.createElement("i"), document.createElement("i"), document.createElement("span"));
    timeline.append(lane);
    return sleepOnce(button.dataset.url, number, begun, lane);
  });
  // While they are under way nobody knows which of them wait: all grow pale.
  const grow = () => {
    const now = performance.now() - begun;
    if (button.disabled) requestAnimationFrame(grow);
    [...timeline.children].filter((lane) => !lane.lastChild.textContent)
      .forEach((lane) => draw(lane, Math.max(now, 2000), now, 0));
  };
  grow();
  try {
    const done = await Promise.all(requests);
    const total = Math.max(...done.map((one) => one.end));
    done.forEach((one) => draw(one.lane, Math.max(total, 2000), one.sent, one.end - one.sent));
    const processes = new Set(done.map((one) => one.process)).size;
    output.textContent = "8 seconds of sleep in " + (total / 1000).toFixed(2) + " s, in " + processes
      + (processes === 1 ? " process." : " processes.");
  } catch (error) {
    output.textContent = "Failed: " + error.message;
  }
  button.disabled = false;
}

async function readStream(button) {
  const target = part("stream", "pre");
  button.disabled = true;
  target.textContent = "";
  show(target);
  try {
    const reader = (await fetch(button.dataset.url)).body.pipeThrough(new TextDecoderStream()).getReader();
    for (let chunk = await reader.read(); !chunk.done; chunk = await reader.read()) {
      target.textContent += chunk.value;
      target.scrollTop = target.scrollHeight;
    }
  } catch (error) {
    target.textContent += "Failed: " + error.message;
  }
  button.disabled = false;
}

let source = null;
function listen(button) {
  const output = part("events", "output");
  if (source) {
    source.close();
    source = null;
    button.textContent = "Listen";
    return;
  }
  button.textContent = "Stop";
  source = new EventSource(button.dataset.url);
  source.onmessage = (event) => {
    const data = JSON.parse(event.data);
    output.textContent = data.time + ", event " + data.number + " from process " + data.process;
  };
  source.onerror = () => { output.textContent = "Connecting again\u2026"; };
}

const webSocket = (path) => new WebSocket(new URL(path, location.href.replace(/^http/, "ws")));

// Each message waits for the one before, so that the times are those of one trip and not of a queue.
function echo(button) {
  const output = part("echo", "output"), trips = part("echo", ".trips");
  const socket = webSocket(button.dataset.url), times = [];
  let sent = 0;
  button.disabled = true;
  trips.replaceChildren();
  show(trips);
  const next = () => { sent = performance.now(); socket.send("hello " + (times.length + 1)); };
  socket.onopen = next;
  socket.onmessage = (event) => {
    times.push(performance.now() - sent);
    const bar = document.createElement("i");
    bar.title = times[times.length - 1].toFixed(2) + " ms";
    trips.append(bar);
    const longest = Math.max(...times);
    [...trips.children].forEach((each, n) => { each.style.height = 100 * times[n] / longest + "%"; });
    output.textContent = "Back in " + [...times].sort((a, b) => a - b)[times.length >> 1].toFixed(2) + " ms, from process "
      + JSON.parse(event.data).process + ".";
    if (times.length < 10) next(); else socket.close();
  };
  socket.onclose = (event) => {
    button.disabled = false;
    if (times.length < 10) output.textContent = "The socket was closed (" + event.code + ").";
  };
}

// The room. When the socket is closed, by a deploy for instance, it is opened again, later each time.
function enterRoom(form) {
  const log = document.querySelector(".room"), state = form.querySelector("output"), input = form.elements.text;
  let socket = null, wait = 500;
  const line = (text, kind, name) => {
    const item = document.createElement("li");
    item.className = kind;
    if (name) {
      const who = document.createElement("b");
      who.textContent = name + " ";
      item.append(who);
    }
    item.append(text);
    const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
    log.append(item);
    if (atEnd) log.scrollTop = log.scrollHeight;
  };
  const open = () => {
    socket = webSocket(form.dataset.url);
    socket.onopen = () => {
      wait = 500;
      log.replaceChildren();
      socket.send(form.elements.name.value);
    };
    socket.onmessage = (event) => {
      const { kind, name, text, members, time } = JSON.parse(event.data);
      if (kind === "said") line(text, kind, name);
      else line(name + (kind === "joined" ? " came in" : " left") + ", " + time, kind);
      state.textContent = members === 1 ? "You are alone." : members + " are here.";
    };
    socket.onclose = () => {
      state.textContent = "Connecting again\u2026";
      setTimeout(open, wait);
      wait = Math.min(2 * wait, 10000);
    };
  };
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (!socket) {
      form.elements.name.readOnly = true;
      show(form.querySelector(".say"));
      form.querySelector(".enter").hidden = true;
      input.focus();
      open();
    } else if (input.value.trim() && socket.readyState === WebSocket.OPEN) {
      socket.send(input.value);
      input.value = "";
    }
  });
}

document.querySelectorAll("form.chat").forEach(enterRoom);

// Sends the bare file, so that the count is its size; without a script the form sends it, with a form's lines around it.
function send(form, file) {
  const progress = form.querySelector("progress"), output = form.querySelector("output");
  // Not fetch, which cannot tell how far an upload has come.
  const request = new XMLHttpRequest();
  request.open("POST", form.action);
  request.setRequestHeader("Accept", "application/json");
  request.setRequestHeader("Content-Type", "application/octet-stream");
  const begun = performance.now();
  request.upload.onprogress = (event) => { progress.value = event.total ? event.loaded / event.total : 1; };
  request.onerror = () => { output.textContent = "The upload failed."; };
  request.onload = () => {
    if (request.status !== 200) {
      output.textContent = "The server answered " + request.status + " " + request.statusText;
      return;
    }
    const result = JSON.parse(request.response);
    output.textContent = result.bytes.toLocaleString() + " bytes in " + ((performance.now() - begun) / 1000).toFixed(2)
      + " s, of which the application took " + (result.seconds * 1000).toFixed(1) + " ms.";
  };
  progress.value = 0;
  show(progress);
  output.textContent = "Sending " + file.name;
  request.send(file);
}

function prepareUpload(form) {
  const drop = form.querySelector(".drop"), input = form.querySelector("input");
  const over = (isOver) => (event) => { event.preventDefault(); drop.classList.toggle("over", isOver); };
  drop.addEventListener("dragover", over(true));
  drop.addEventListener("dragleave", over(false));
  drop.addEventListener("drop", (event) => {
    over(false)(event);
    if (event.dataTransfer.files[0]) send(form, event.dataTransfer.files[0]);
  });
  form.addEventListener("submit", (event) => { event.preventDefault(); send(form, input.files[0]); });
}

document.querySelectorAll("form.upload").forEach(prepareUpload);
for (const [id, run] of [["sleep", sleepAll], ["stream", readStream], ["events", listen], ["echo", echo]]) {
  const button = part(id, "button[data-url]");
  if (button) button.addEventListener("click", () => run(button));
}
