
// One way into the room: the lines heard by it, and what it is doing.
function way(id) {
  const panel = document.getElementById(id);
  const room = panel.querySelector(".room"), form = panel.querySelector("form"), output = panel.querySelector("output");
  const known = new Set();
  const state = (text) => { output.textContent = text; };
  const hear = (lines) => {
    for (const { id: one, name, text, way: by, process, time } of lines) {
      if (known.has(one)) continue;  // who comes in hears some of it twice, as past and as present
      known.add(one);
      const item = document.createElement("li"), who = document.createElement("b"), how = document.createElement("small");
      who.textContent = name;
      how.textContent = time + ", " + by + ", process " + process;
      item.append(who, " ", text, how);
      const atEnd = room.scrollHeight - room.scrollTop - room.clientHeight < 40;
      room.append(item);
      if (atEnd) room.scrollTop = room.scrollHeight;
    }
  };
  // `say` sends what was said, and tells whether it could.
  const speak = (say) => form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const input = form.querySelector("input");
    const line = JSON.stringify({ name: document.getElementById("name").value, text: input.value });
    if (input.value.trim() && await say(line)) input.value = "";
  });
  return { url: panel.dataset.url, state, hear, speak };
}

// A WebSocket that is opened again when it is closed, later each time.
function bySocket(id) {
  const { url, state, hear, speak } = way(id);
  let socket = null, wait = 500, opened = 0;
  const open = () => {
    socket = webSocket(url);
    socket.onopen = () => {
      wait = 500;
      opened += 1;
      state(opened === 1 ? "Open" : "Open again, for the " + opened + ". time");
    };
    socket.onmessage = (event) => hear(JSON.parse(event.data).lines);
    socket.onclose = () => {
      state("Connecting again\u2026");
      setTimeout(open, wait);
      wait = Math.min(2 * wait, 10000);
    };
  };
  speak((line) => {
    const isOpen = socket.readyState === WebSocket.OPEN;
    if (isOpen) socket.send(line);
    return isOpen;
  });
  open();
}

// The server answers with what is new, when there is something; then it is asked again.
async function byPoll(id) {
  const { url, state, hear, speak } = way(id);
  speak(async (line) => {
    try {
      return (await fetch(url, { method: "POST", body: line, headers: { "Content-Type": "application/json" } })).ok;
    } catch (error) {
      return false;
    }
  });
  let after = "", wait = 500;
  for (;;) {
    try {
      state("Waiting for an answer");
      const answer = await fetch(url + "?after=" + encodeURIComponent(after), { cache: "no-store" });
      if (!answer.ok) throw new Error("The server answered " + answer.status);
      const { lines, position } = await answer.json();
      hear(lines);
      after = position ?? after;  // a line on its own does not know where it is
      wait = 500;
    } catch (error) {
      state("Asking again\u2026");
      await new Promise((resolve) => setTimeout(resolve, wait));
      wait = Math.min(2 * wait, 10000);
    }
  }
}

bySocket("coroutine");
bySocket("plain");
byPoll("poll");
