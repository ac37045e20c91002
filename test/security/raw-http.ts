/** HTTP that no client library sends: bad request lines, headers that two parsers read differently, odd chunks. */
import { connect } from "node:net";
import type { Random } from "./random.ts";
import { MARKER } from "./target.ts";

const METHODS = [
  "GET",
  "POST",
  "get",
  "DELETE",
  "CONNECT",
  "TRACE",
  "PRI",
  "GETT",
  "",
  "\u0000",
  "POST\t",
  "OPTIONS",
  "HEAD",
];
const PATHS = [
  "/v1/sessions",
  "/v1/permissions",
  "/v1/chat/completions",
  "/v1/models",
  "/hooks",
  "/bridge",
  "/v1/v1/sessions",
  "//v1//sessions",
  "/v1/./sessions",
  "/v1/x/../sessions",
  "/v1/%73essions",
  "/%76%31/sessions",
  "/v1%2fsessions",
  "/v1\\sessions",
  "/v1/sessions%00",
  "/v1/sessions;x",
  "/v1/sessions?key=x",
  "*",
  "",
  "/é",
  "http://evil.example/v1/sessions",
  "//evil.example/v1/sessions",
  "127.0.0.1:80",
  `/${"a/".repeat(4_000)}`,
  "/ /v1/sessions",
];
const VERSIONS = ["HTTP/1.1", "HTTP/1.0", "HTTP/2.0", "HTTP/0.9", "http/1.1", "HTTP/1.1 HTTP/1.1", "", "HTTP/9.9"];
const BODY = `{"messages":[{"role":"user","content":"${MARKER}"}]}`;
const SMUGGLED = "GET /v1/sessions HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";

const HEADERS = [
  "Transfer-Encoding: chunked",
  "Transfer-Encoding: chunked\r\nContent-Length: 4",
  "Content-Length: 4\r\nContent-Length: 40",
  "Content-Length: -1",
  "Content-Length: +4",
  "Content-Length: 0x10",
  "Content-Length: 99999999999999999999",
  "Content-Length: 4, 4",
  "Transfer-Encoding: xchunked",
  "Transfer-Encoding: identity, chunked",
  "Transfer-Encoding : chunked",
  "Transfer-Encoding:\tchunked",
  "Transfer_Encoding: chunked",
  " Host: 127.0.0.1",
  "Host: evil.example",
  "Host: 127.0.0.1, evil.example",
  "Host: 127.0.0.1@evil.example",
  "Host: ",
  "X: a\r\n b",
  "X: a\rY: b",
  "X: a\nY: b",
  "X: \u0000",
  "NoColon",
  ": empty",
  `X: ${"a".repeat(20_000)}`,
  "Expect: 100-continue",
  "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13",
  "Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAAQAAP__",
  "Authorization: Bearer ",
  "Authorization: Bearer null",
  "Authorization: Basic OnVuZGVmaW5lZA==",
  "Cookie: key=undefined",
  "Origin: http://127.0.0.1.evil.example",
  "Origin: null",
  "Content-Encoding: gzip",
  "Content-Encoding: gzip, gzip, gzip, gzip, gzip, gzip",
  "Content-Type: application/json",
];
const BODIES = [
  "",
  BODY,
  `0\r\n\r\n${SMUGGLED}`,
  `4\r\nabcd\r\n0\r\n\r\n${SMUGGLED}`,
  "ffffffffffffffff\r\nab",
  "-1\r\nab\r\n",
  "1;ext=x\r\na\r\n0\r\nTrailer: x\r\n\r\n",
  "0x4\r\nabcd\r\n0\r\n\r\n",
  "4\nabcd\n0\n\n",
  "\r\n\r\n\r\n",
  SMUGGLED,
  "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
  "\u0016\u0003\u0001\u0002\u0000\u0001",
];

export interface RawInput {
  /** The parts of the request, in the order in which they are sent. */
  readonly pieces: readonly Buffer[];
  /** The client sends no end of the request, and disconnects. */
  readonly isQuiet: boolean;
}

/** @param port the server's port, so that some inputs pass the check of `Host` */
export function rawInput(random: Random, port: number): RawInput {
  if (random.once(30)) {
    // Random bytes, which are not HTTP.
    const noise = Buffer.from(Array.from({ length: 1 + random.int(200) }, () => random.int(256)));
    return { pieces: [noise], isQuiet: random.once(2) };
  }
  const method = random.once(3) ? random.pick(METHODS) : random.pick(["GET", "POST"]);
  const version = random.once(5) ? random.pick(VERSIONS) : "HTTP/1.1";
  const end = random.once(15) ? "\n" : "\r\n";
  const headers = [
    ...(random.once(6) ? [] : [`Host: 127.0.0.1:${port}`]),
    ...Array.from({ length: random.int(4) }, () => random.pick(HEADERS)),
    ...(random.once(60) ? Array.from({ length: 300 }, (_, at) => `X-${at}: ${at}`) : []),
  ];
  const text = `${[`${method} ${random.pick(PATHS)} ${version}`, ...headers].join(end)}${end}${end}${random.pick(BODIES)}`;
  const bytes = Buffer.from(random.once(10) ? text.slice(0, random.int(text.length)) : text, "latin1");
  const cut = random.int(bytes.length + 1);
  return { pieces: [bytes.subarray(0, cut), bytes.subarray(cut)], isQuiet: random.once(4) };
}

/** How long to wait after an unfinished request, in ms. A finished one gets more time. */
const ANSWER_MS = 5;

/** Sends the pieces on a new connection. @returns the server's response, which may be empty */
export function sendRaw(port: number, pieces: readonly Buffer[], isQuiet: boolean): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  const socket = connect(port, "127.0.0.1");
  let answer = "";
  let timer: Timer | undefined;
  socket.on("data", (bytes) => {
    answer += bytes.toString("latin1");
  });
  // The server may reset the connection.
  socket.on("error", () => {});
  socket.on("close", () => {
    clearTimeout(timer);
    resolve(answer);
  });
  socket.on("connect", () => {
    for (const piece of pieces) if (piece.length > 0) socket.write(piece);
    if (!isQuiet) socket.end();
    timer = setTimeout(() => socket.destroy(), isQuiet ? ANSWER_MS : 20 * ANSWER_MS);
  });
  return promise;
}
