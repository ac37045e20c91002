/** Compressed request bodies. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync, zstdCompressSync } from "node:zlib";
import { createHttpWorld, type HttpWorld, JSON_TYPE } from "../support/http-world.ts";

let world: HttpWorld;
beforeAll(async () => {
  world = await createHttpWorld();
});
afterAll(() => world[Symbol.asyncDispose]());

describe("a compressed body", () => {
  const sent = JSON.stringify({ user: "me", messages: [{ role: "user", content: "hello" }] });
  const send = (encoding: string, body: Uint8Array<ArrayBuffer>, key = world.server.key) =>
    world.request("/v1/chat/completions", {
      method: "POST",
      key,
      headers: { ...JSON_TYPE, "content-encoding": encoding },
      body,
    });
  const gzip = (body: string | Uint8Array) => new Uint8Array(gzipSync(body));
  const zstd = (body: string | Uint8Array) => new Uint8Array(zstdCompressSync(body));
  const br = (body: string | Uint8Array) => new Uint8Array(brotliCompressSync(body));
  const raw = new Uint8Array(new TextEncoder().encode(sent));

  const supported: [encoding: string, body: Uint8Array<ArrayBuffer>][] = [
    ["gzip", gzip(sent)],
    ["x-gzip", gzip(sent)],
    ["GZip", gzip(sent)],
    ["deflate", new Uint8Array(deflateSync(sent))],
    // Many clients leave out the zlib header.
    ["deflate", new Uint8Array(deflateRawSync(sent))],
    ["br", br(sent)],
    ["zstd", zstd(sent)],
    ["identity", raw],
    ["gzip, br", br(gzip(sent))],
    ["br,identity , zstd", zstd(br(sent))],
  ];
  test.each(supported)("in %s is inflated", async (encoding, body) => {
    expect(await (await send(encoding, body)).json()).toMatchObject({
      choices: [{ message: { content: "You said: hello" } }],
    });
  });

  test("is inflated when it arrives byte by byte", async () => {
    const body = gzip(sent);
    const bytes = new ReadableStream({
      start(controller) {
        for (const byte of body) controller.enqueue(new Uint8Array([byte]));
        controller.close();
      },
    });
    const headers = { ...JSON_TYPE, "content-encoding": "gzip" };
    const response = await world.request("/v1/chat/completions", { method: "POST", headers, body: bytes });
    expect(response.status).toBe(200);
  });

  const large = new Uint8Array(256 * 1024 * 1024);
  const rejected: [
    what: string,
    encoding: string,
    body: () => Uint8Array<ArrayBuffer>,
    status: number,
    code: string,
  ][] = [
    ["in an unknown encoding", "compress", () => raw, 415, "unsupported_encoding"],
    ["in a known and an unknown encoding", "gzip, lzma", () => raw, 415, "unsupported_encoding"],
    ["with too many encodings", Array(6).fill("gzip").join(), () => raw, 415, "unsupported_encoding"],
    ["that is not gzip data", "gzip", () => raw, 400, "invalid_request"],
    ["that is not br data", "br", () => raw, 400, "invalid_request"],
    ["of truncated gzip data", "gzip", () => gzip(sent).slice(0, -9), 400, "invalid_request"],
    ["of truncated br data", "br", () => br(sent).slice(0, -1), 400, "invalid_request"],
    ["of truncated zstd data", "zstd", () => zstd(sent).slice(0, 20), 400, "invalid_json"],
    ["that is not JSON after inflation", "gzip", () => gzip("hello"), 400, "invalid_json"],
    ["that gzip inflates beyond the limit", "gzip", () => gzip(large), 413, "request_too_large"],
    ["that zstd inflates beyond the limit", "zstd", () => zstd(large), 413, "request_too_large"],
    [
      "that exceeds the limit after the first of two steps",
      "gzip, gzip",
      () => gzip(gzip(large)),
      413,
      "request_too_large",
    ],
  ];
  test.each(rejected)("%s is rejected", async (_what, encoding, body, status, code) => {
    const response = await send(encoding, body());
    expect([response.status, await response.json()]).toMatchObject([status, { error: { code } }]);
    expect(response.headers.get("accept-encoding")).toBe(status === 415 ? "gzip, deflate, br, zstd" : null);
  });

  test("is not inflated without a key", async () => {
    expect((await send("gzip", raw, "sk-wrong")).status).toBe(401);
    expect((await send("compress", raw, "sk-wrong")).status).toBe(401);
  });
});
