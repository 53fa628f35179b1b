// As much MessagePack (https://msgpack.org) as the worker protocol needs, and its packets.
"use strict";

/** Splits a stream of bytes into packets, each a list of messages. */
class Packets {
  constructor() { this.rest = Buffer.alloc(0); }

  feed(data) {
    this.rest = Buffer.concat([this.rest, data]);
    const packets = [];
    while (this.rest.length >= 4 && this.rest.length - 4 >= this.rest.readUInt32LE(0)) {
      const end = 4 + this.rest.readUInt32LE(0);
      packets.push(new Decoder(this.rest.subarray(4, end)).value());
      this.rest = this.rest.subarray(end);
    }
    return packets;
  }
}

class Decoder {
  constructor(bytes) { this.bytes = bytes; this.at = 0; }

  number(read, size) { this.at += size; return this.bytes[read](this.at - size); }
  length(size) { return this.number(["", "readUInt8", "readUInt16BE", "", "readUInt32BE"][size], size); }
  take(n) { this.at += n; return this.bytes.subarray(this.at - n, this.at); }
  list(n) { return Array.from({ length: n }, () => this.value()); }
  map(n) { return Object.fromEntries(Array.from({ length: n }, () => [this.value(), this.value()])); }

  value() {
    const type = this.length(1);
    if (type < 0x80) return type;
    if (type < 0x90) return this.map(type & 0x0f);
    if (type < 0xa0) return this.list(type & 0x0f);
    if (type < 0xc0) return this.take(type & 0x1f).toString();
    if (type >= 0xe0) return type - 256;
    switch (type) {
      case 0xc0: return null;
      case 0xc2: case 0xc3: return type === 0xc3;
      case 0xc4: case 0xc5: case 0xc6: return this.take(this.length(1 << (type - 0xc4)));
      case 0xcb: return this.number("readDoubleBE", 8);
      case 0xd2: return this.number("readInt32BE", 4);
      case 0xd3: return Number(this.number("readBigInt64BE", 8));
      case 0xd9: case 0xda: case 0xdb: return this.take(this.length(1 << (type - 0xd9))).toString();
      case 0xdc: case 0xdd: return this.list(this.length(2 << (type - 0xdc)));
      case 0xde: case 0xdf: return this.map(this.length(2 << (type - 0xde)));
    }
    throw new Error(`type byte ${type} at ${this.at - 1} is not one that the server writes`);
  }
}

/** One packet with these messages. */
function encode(messages) {
  const parts = [];
  write(parts, messages);
  const payload = Buffer.concat(parts);
  return Buffer.concat([header(4, "writeUInt32LE", payload.length), payload]);
}

function header(size, how, n, type) {
  const bytes = Buffer.alloc(size + (type === undefined ? 0 : 1));
  if (type !== undefined) bytes[0] = type;
  bytes[how](n, bytes.length - size);
  return bytes;
}

function write(parts, value) {
  if (Buffer.isBuffer(value)) {
    parts.push(header(4, "writeUInt32BE", value.length, 0xc6), value);
  } else if (Array.isArray(value)) {
    parts.push(header(4, "writeUInt32BE", value.length, 0xdd));
    value.forEach((item) => write(parts, item));
  } else if (typeof value === "string") {
    const text = Buffer.from(value);
    parts.push(header(4, "writeUInt32BE", text.length, 0xdb), text);
  } else if (typeof value === "number") {
    parts.push(header(4, "writeInt32BE", value, 0xd2));
  } else {
    const entries = Object.entries(value);
    parts.push(header(4, "writeUInt32BE", entries.length, 0xdf));
    entries.flat().forEach((item) => write(parts, item));
  }
}

module.exports = { Packets, encode };
