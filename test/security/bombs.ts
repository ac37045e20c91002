/** JSON values that are cheap to send and expensive to parse. */

export interface Bomb {
  readonly name: string;
  /** Makes a JSON value of about `bytes` bytes. Some values are broken on purpose. */
  make(bytes: number): Buffer;
}

/** Repeats `unit` between `open` and `close` until the value has `bytes` bytes. */
const fill = (bytes: number, unit: string | Buffer, open = "", close = ""): Buffer => {
  const room = Math.max(0, bytes - open.length - close.length);
  const piece = Buffer.from(unit);
  const middle = Buffer.alloc(room - (room % piece.length), piece);
  return Buffer.concat([Buffer.from(open), middle, Buffer.from(close)]);
};

/** A value nested as deep as `bytes` allow. */
const nest = (bytes: number, open: string, close: string, inner = "0"): Buffer => {
  const depth = Math.floor(bytes / (open.length + close.length));
  return Buffer.concat([
    Buffer.alloc(depth * open.length, open),
    Buffer.from(inner),
    Buffer.alloc(depth * close.length, close),
  ]);
};

const numbered = (bytes: number, one: (at: number) => string, open: string, close: string): Buffer => {
  const parts: string[] = [];
  for (let at = 0, length = 0; length < bytes; at += 1) {
    const part = one(at);
    parts.push(part);
    length += part.length + 1;
  }
  return Buffer.from(`${open}${parts.join(",")}${close}`);
};

const bomb = (name: string, make: Bomb["make"]): Bomb => ({ name, make });

export const BOMBS: readonly Bomb[] = [
  bomb("depth of arrays", (bytes) => nest(bytes, "[", "]")),
  bomb("depth of objects", (bytes) => nest(bytes, '{"a":', "}")),
  bomb("depth without an end", (bytes) => Buffer.alloc(bytes, "[")),
  bomb("depth of schemas", (bytes) => nest(bytes, '{"type":"object","properties":{"a":', "}}", "{}")),
  bomb("width of numbers", (bytes) => fill(bytes, "0,", "[", "0]")),
  bomb("width of empty objects", (bytes) => fill(bytes, "{},", "[", "{}]")),
  bomb("width of keys", (bytes) => numbered(bytes, (at) => `"k${at}":0`, "{", "}")),
  bomb("length of a string", (bytes) => fill(bytes, "a", '"', '"')),
  bomb("length of a key", (bytes) => fill(bytes, "k", '{"', '":0}')),
  bomb("white space between values", (bytes) => fill(bytes, " \n\t\r", "[0,", "0]")),
  bomb("white space in a string", (bytes) => fill(bytes, " ", '"a', 'a"')),
  bomb("line ends in a string", (bytes) => fill(bytes, "\\n", '"a', 'a"')),
  bomb("digits", (bytes) => fill(bytes, "9")),
  bomb("digits after the decimal point", (bytes) => fill(bytes, "1", "0.", "e-99999")),
  bomb("digits of many numbers", (bytes) => fill(bytes, "1.7976931348623157e308,", "[", "0]")),
  bomb("surrogates, each alone", (bytes) => fill(bytes, "\\ud800", '"', '"')),
  bomb("surrogates as bytes", (bytes) => fill(bytes, Buffer.from([0xed, 0xa0, 0x80]), '"', '"')),
  bomb("duplicate keys", (bytes) => fill(bytes, '"a":1,', "{", '"a":1}')),
  bomb("keys of prototypes", (bytes) => fill(bytes, '"__proto__":{"x":1},"constructor":1,', "{", '"toString":1}')),
  bomb("escapes", (bytes) => fill(bytes, "\\u0061", '"', '"')),
  bomb("escapes of quotes", (bytes) => fill(bytes, '\\"', '"', '"')),
  bomb("base64", (bytes) => fill(bytes, "iVBORw0KGgo", '"data:image/png;base64,', '"')),
  bomb("base64 with white space", (bytes) => fill(bytes, "A   ", '"data:image/png;base64,', '"')),
  bomb("base64 of white space", (bytes) => fill(bytes, " ", '"data:image/png;base64,', '!"')),
  bomb("invalid UTF-8", (bytes) => fill(bytes, Buffer.from([0xff, 0xc0, 0x80]), '"', '"')),
  bomb("NUL and control characters", (bytes) => fill(bytes, "\\u0000\\u001b\\u202e", '"', '"')),
  bomb("a truncated string", (bytes) => fill(bytes, "a", '"')),
  bomb("a truncated escape", (bytes) => fill(bytes, "a", '["', "\\u00")),
  bomb("truncated objects", (bytes) => fill(bytes, '{"a":[0,', "", '"')),
];
