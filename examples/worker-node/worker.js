// A worker in JavaScript, written from docs/protocol.md alone: `function app(scope, body)` gives { status, headers, body }.
// It shows the protocol, not how to serve JavaScript: one process, no streams of its own, bodies taken whole.
"use strict";

const net = require("node:net");
const { Packets, encode } = require("./msgpack.js");

const [HELLO, WELCOME, UP] = [1, 2, 3];
const [REQUEST, BODY, CREDIT, DISCONNECT, CANCEL, STOP, STACKS] = [16, 17, 18, 19, 20, 21, 22];
const [ANSWER, START, DATA, END, DONE, ERROR, READ, ALIVE, TRACE] = [32, 34, 35, 36, 37, 38, 39, 42, 43];
const PIECE = 65536;
const QUARTER = 262144 / 4; // of the request body's window

/** Answers with what it was asked, as the tour's "what the request looked like" does. `?size=n` streams n bytes. */
function app(scope, body) {
  const size = /^size=(\d+)$/.exec(scope.query_string.toString());
  const text = `${scope.method} ${scope.path} ${scope.server.join(":")} ${body.length} bytes\n`;
  if (scope.path === "/fail") throw new Error("as asked");
  return {
    status: 200,
    headers: [["content-type", "text/plain; charset=utf-8"], ["x-name", "café"]],
    body: size ? Buffer.alloc(Number(size[1]), "x") : Buffer.from(text),
  };
}

class Worker {
  constructor() {
    this.connection = new net.Socket({ fd: 3 });
    this.control = new net.Socket({ fd: 4 });
    this.out = [];
    this.requests = new Map(); // stream to request
    this.stopping = false;
    // The server has gone: nobody waits for what this process does.
    for (const socket of [this.connection, this.control]) socket.on("close", () => process.exit(1));
    this.receive(this.connection, (message) => this.take(message), () => this.flush());
    this.receive(this.control, ([kind, token]) => {
      if (kind === STACKS) this.control.write(encode([[TRACE, token, ""]]));
    }, () => {});
    this.emit([HELLO, { protocol: 1, language: "javascript", pid: process.pid }]);
    this.flush();
  }

  receive(socket, take, after) {
    const packets = new Packets();
    socket.on("data", (data) => {
      for (const messages of packets.feed(data)) messages.forEach(take);
      after();
    });
  }

  emit(message) { this.out.push(message); }

  /** One packet for all that a packet of the server caused. An ASGI worker answers every packet: ALIVE if with nothing. */
  flush() {
    const batch = this.out.length ? this.out : [[ALIVE, 0]];
    this.out = [];
    this.connection.write(encode(batch));
    if (this.stopping && this.requests.size === 0) process.exit(0);
  }

  take([kind, stream, ...rest]) {
    const request = this.requests.get(stream);
    switch (kind) {
      case WELCOME: return this.welcome(stream.settings);
      case REQUEST: return this.begin(stream, ...rest);
      case BODY: return request && this.more(stream, request, ...rest);
      case CREDIT:
        if (request) request.credit += rest[0];
        return request?.answer && this.stream(stream, request);
      case DISCONNECT:
      case CANCEL: return request && this.finish(stream, DONE); // the stream is still this worker's to close
      case STOP: this.stopping = true;
    }
  }

  welcome(settings) {
    this.settings = settings;
    this.emit([UP, { interface: "asgi", loop: "node", concurrency: settings.worker_connections,
      interpreter: `Node ${process.version}`, application: "worker.js:app", notes: [] }]);
  }

  begin(stream, scope, body, more) {
    const { scheme, root_path, server, asgi_window } = this.settings;
    const defaults = { http_version: "1.1", query_string: Buffer.alloc(0), scheme, root_path, server };
    const request = { scope: { ...defaults, ...scope }, body: [body], taken: 0, credit: asgi_window };
    this.requests.set(stream, request);
    if (more === 0) this.call(stream, request);
    if (more === 2) this.emit([READ, stream, 4 * QUARTER]);
  }

  more(stream, request, data, more) {
    request.body.push(data);
    request.taken += data.length;
    if (!more) return this.call(stream, request);
    if (request.taken >= QUARTER) {
      this.emit([READ, stream, request.taken]);
      request.taken = 0;
    }
  }

  call(stream, request) {
    try {
      request.answer = app(request.scope, Buffer.concat(request.body));
    } catch (error) {
      console.error(error);
      return this.finish(stream, ERROR, String(error));
    }
    const { status, headers, body } = request.answer;
    if (body.length <= PIECE) return this.finish(stream, ANSWER, status, headers, body);
    this.emit([START, stream, status, headers, Buffer.alloc(0)]);
    request.at = 0;
    this.stream(stream, request);
  }

  /** Sends as much of a long answer as the credit allows; CREDIT comes back here. */
  stream(stream, request) {
    const { body } = request.answer;
    while (request.credit > 0 && request.at < body.length) {
      const piece = body.subarray(request.at, request.at + Math.min(PIECE, request.credit));
      this.emit([DATA, stream, piece]);
      request.at += piece.length;
      request.credit -= piece.length;
    }
    if (request.at === body.length) {
      this.emit([END, stream]);
      this.finish(stream, DONE);
    }
  }

  finish(stream, kind, ...rest) {
    this.requests.delete(stream);
    this.emit([kind, stream, ...rest]);
  }
}

new Worker();
