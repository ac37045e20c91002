/** Bodies that a client has compressed. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync, zstdCompressSync } from "node:zlib";
import { createWorld, type World } from "../support/world.ts";

let world: World;
beforeAll(async () => {
  world = await createWorld({ standIn: true });
});
afterAll(() => world[Symbol.asyncDispose]());

/** @param key null for none */
const request = (path: string, init: RequestInit & { key?: string | null } = {}) => {
  const { key = world.server.key, headers, ...rest } = init;
  const authorization = key === null ? {} : { authorization: `Bearer ${key}` };
  return fetch(`${world.server.url}${path}`, { ...rest, headers: { ...authorization, ...(headers as object) } });
};
const json = { "content-type": "application/json" };
const user = (content: unknown) => ({ user: "me", messages: [{ role: "user", content }] });

describe("a compressed body", () => {
  const sent = JSON.stringify(user("hello"));
  const send = (encoding: string, body: Uint8Array<ArrayBuffer>, key = world.server.key) =>
    request("/v1/chat/completions", {
      method: "POST",
      key,
      headers: { ...json, "content-encoding": encoding },
      body,
    });
  const gzip = (body: string | Uint8Array) => new Uint8Array(gzipSync(body));
  const zstd = (body: string | Uint8Array) => new Uint8Array(zstdCompressSync(body));
  const br = (body: string | Uint8Array) => new Uint8Array(brotliCompressSync(body));
  const raw = new Uint8Array(new TextEncoder().encode(sent));

  const taken: [encoding: string, body: Uint8Array<ArrayBuffer>][] = [
    ["gzip", gzip(sent)],
    ["x-gzip", gzip(sent)],
    ["GZip", gzip(sent)],
    ["deflate", new Uint8Array(deflateSync(sent))],
    // As many clients send it: without zlib's header.
    ["deflate", new Uint8Array(deflateRawSync(sent))],
    ["br", br(sent)],
    ["zstd", zstd(sent)],
    ["identity", raw],
    ["gzip, br", br(gzip(sent))],
    ["br,identity , zstd", zstd(br(sent))],
  ];
  test.each(taken)("%s", async (encoding, body) => {
    expect(await (await send(encoding, body)).json()).toMatchObject({
      choices: [{ message: { content: "You said: hello" } }],
    });
  });

  test("in pieces", async () => {
    const body = gzip(sent);
    const pieces = new ReadableStream({
      start(controller) {
        for (const byte of body) controller.enqueue(new Uint8Array([byte]));
        controller.close();
      },
    });
    const headers = { ...json, "content-encoding": "gzip" };
    const response = await request("/v1/chat/completions", { method: "POST", headers, body: pieces });
    expect(response.status).toBe(200);
  });

  const large = new Uint8Array(256 * 1024 * 1024);
  const refused: [what: string, encoding: string, body: () => Uint8Array<ArrayBuffer>, status: number, code: string][] =
    [
      ["of another kind", "compress", () => raw, 415, "unsupported_encoding"],
      ["of a kind and another", "gzip, lzma", () => raw, 415, "unsupported_encoding"],
      ["compressed too often", Array(6).fill("gzip").join(), () => raw, 415, "unsupported_encoding"],
      ["that is not compressed", "gzip", () => raw, 400, "invalid_request"],
      ["that is not compressed, said to be br", "br", () => raw, 400, "invalid_request"],
      ["that is cut short", "gzip", () => gzip(sent).slice(0, -9), 400, "invalid_request"],
      ["that is cut short, of br", "br", () => br(sent).slice(0, -1), 400, "invalid_request"],
      ["that is cut short, of zstd", "zstd", () => zstd(sent).slice(0, 20), 400, "invalid_json"],
      ["that holds no JSON", "gzip", () => gzip("hello"), 400, "invalid_json"],
      ["that becomes too large", "gzip", () => gzip(large), 413, "request_too_large"],
      ["that becomes too large, of zstd", "zstd", () => zstd(large), 413, "request_too_large"],
      ["that becomes too large in between", "gzip, gzip", () => gzip(gzip(large)), 413, "request_too_large"],
    ];
  test.each(refused)("%s is refused", async (_what, encoding, body, status, code) => {
    const response = await send(encoding, body());
    expect([response.status, await response.json()]).toMatchObject([status, { error: { code } }]);
    expect(response.headers.get("accept-encoding")).toBe(status === 415 ? "gzip, deflate, br, zstd" : null);
  });

  test("is not looked at without a key", async () => {
    expect((await send("gzip", raw, "sk-wrong")).status).toBe(401);
    expect((await send("compress", raw, "sk-wrong")).status).toBe(401);
  });
});
