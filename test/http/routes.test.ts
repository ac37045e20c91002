/** The HTTP interface: rejected requests and their errors, and what needs no real Claude Code. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { connect } from "node:net";
import { networkInterfaces } from "node:os";
import { version } from "../../package.json";
import { createHttpWorld, type HttpWorld, JSON_TYPE } from "../support/http-world.ts";
import { PROGRAM } from "../support/server.ts";
import { createWorld } from "../support/world.ts";

let world: HttpWorld;
beforeAll(async () => {
  world = await createHttpWorld();
});
afterAll(() => world[Symbol.asyncDispose]());

const request: HttpWorld["request"] = (path, init) => world.request(path, init);
const chat = (body: unknown, headers: Record<string, string> = {}) =>
  world.postJson("/v1/chat/completions", body, headers);
const user = (content: unknown) => ({ user: "me", messages: [{ role: "user", content }] });

/** Sends a request that fetch would not send, such as one with an invalid Host header. */
async function raw(...lines: string[]): Promise<Response> {
  const { promise, resolve } = Promise.withResolvers<string>();
  const socket = connect(Number(new URL(world.server.url).port), "127.0.0.1");
  let answer = "";
  socket.on("data", (bytes) => {
    answer += bytes;
  });
  socket.on("data", () => socket.end());
  socket.on("close", () => resolve(answer));
  socket.write(`${[...lines, "Connection: close"].join("\r\n")}\r\n\r\n`);
  const [head = "", body = ""] = (await promise).split("\r\n\r\n");
  return new Response(body, { status: Number(head.split(" ")[1]) });
}

/** Sends the head of a request with a body that would exceed Bun's own limit. */
const huge = (path: string, key: string) =>
  raw(
    `POST ${path} HTTP/1.1`,
    `Host: ${new URL(world.server.url).host}`,
    `Authorization: Bearer ${key}`,
    "Content-Type: application/json",
    `Content-Length: ${200 * 1024 * 1024}`,
  );

const image = (url: string) => ({ type: "image_url", image_url: { url } });

describe("an error has the shape of OpenAI's API for", () => {
  const cases: [what: string, send: () => Promise<Response>, status: number, code: string, param: string | null][] = [
    [
      "a target that is not a path",
      () => raw("CONNECT * HTTP/1.1", `Host: ${new URL(world.server.url).host}`),
      400,
      "invalid_request",
      null,
    ],
    ["no key", () => request("/v1/models", { key: null }), 401, "invalid_api_key", null],
    ["a wrong key", () => request("/v1/models", { key: "sk-wrong" }), 401, "invalid_api_key", null],
    [
      "a key in the wrong scheme",
      () => request("/v1/models", { key: null, headers: { authorization: `Basic ${btoa("a:b")}` } }),
      401,
      "invalid_api_key",
      null,
    ],
    ["an unknown address without a key", () => request("/v1/nothing", { key: null }), 401, "invalid_api_key", null],
    [
      "a foreign origin",
      () => request("/v1/models", { headers: { origin: "https://evil.example" } }),
      403,
      "origin_not_allowed",
      null,
    ],
    [
      "the origin of a local file",
      () => request("/health", { headers: { origin: "null" } }),
      403,
      "origin_not_allowed",
      null,
    ],
    ["a foreign host", () => request("/health", { headers: { host: "evil.example" } }), 403, "host_not_allowed", null],
    ["an invalid host", () => raw("GET /v1/models HTTP/1.1", "Host: ["), 403, "host_not_allowed", null],
    ["an unknown address", () => request("/v1/nothing"), 404, "unknown_url", null],
    ["an unknown model", () => request("/v1/models/gpt-99"), 404, "model_not_found", "model"],
    ["a chat with an unknown model", () => chat({ ...user("x"), model: "gpt-99" }), 404, "model_not_found", "model"],
    [
      "an unknown reasoning effort",
      () => chat({ ...user("x"), reasoning_effort: "huge" }),
      400,
      "invalid_request",
      "reasoning_effort",
    ],
    [
      "an image with an http: URL",
      () => chat(user([image("http://127.0.0.1/x.png")])),
      400,
      "invalid_request",
      "messages[0].content[0].image_url.url",
    ],
    [
      "an image with a file: URL",
      () => chat(user([image("file:///etc/passwd")])),
      400,
      "invalid_request",
      "messages[0].content[0].image_url.url",
    ],
    [
      "image data that is not an image",
      () => chat(user([image("data:image/png;base64,aGVsbG8=")])),
      400,
      "invalid_request",
      "messages[0].content[0].image_url.url",
    ],
    [
      "image data that is not base64",
      () => chat(user([image("data:image/png,hello")])),
      400,
      "invalid_request",
      "messages[0].content[0].image_url.url",
    ],
    ["a wrong method for a chat", () => request("/v1/chat/completions"), 405, "method_not_allowed", null],
    ["a wrong method for models", () => request("/v1/models", { method: "POST" }), 405, "method_not_allowed", null],
    ["a body that is not JSON", () => chat("{"), 400, "invalid_json", null],
    ["a body of another type", () => chat("hello", { "content-type": "text/plain" }), 400, "invalid_json", null],
    ["no messages", () => chat({}), 400, "invalid_request", "messages"],
    ["empty messages", () => chat({ messages: [] }), 400, "invalid_request", "messages"],
    [
      "an unknown role",
      () => chat({ messages: [{ role: "robot", content: "x" }] }),
      400,
      "invalid_request",
      "messages[0].role",
    ],
    [
      "a content part of an unsupported type",
      () => chat(user([{ type: "text", text: "x" }, { type: "input_audio" }])),
      400,
      "invalid_request",
      "messages[0].content[1]",
    ],
    [
      "a request for an audio answer",
      () => chat({ ...user("x"), modalities: ["text", "audio"] }),
      400,
      "invalid_request",
      "modalities[1]",
    ],
    ["a request for two answers", () => chat({ ...user("x"), n: 2 }), 400, "invalid_request", "n"],
    ["a wrong type", () => chat({ ...user("x"), stream: "yes" }), 400, "invalid_request", "stream"],
    ["a user with a line feed", () => chat({ ...user("x"), user: "a\nb" }), 400, "invalid_request", "user"],
    ["a body that is too large", () => chat(user("x".repeat(33 * 1024 * 1024))), 413, "request_too_large", null],
    ["a huge body", () => huge("/v1/chat/completions", world.server.key), 413, "request_too_large", null],
    ["a huge body without a key", () => huge("/v1/chat/completions", "sk-wrong"), 401, "invalid_api_key", null],
    [
      "a wrong method for health",
      () => request("/health", { method: "POST", key: null }),
      405,
      "method_not_allowed",
      null,
    ],
    [
      "a wrong method for ready",
      () => request("/ready", { method: "POST", key: null }),
      405,
      "method_not_allowed",
      null,
    ],
    [
      "a hook without a token",
      () => request("/hooks", { method: "POST", key: null, body: "{}" }),
      401,
      "invalid_api_key",
      null,
    ],
    ["a hook with the chat key", () => request("/hooks", { method: "POST", body: "{}" }), 401, "invalid_api_key", null],
    ["a plain HTTP request to the bridge", () => request("/bridge"), 400, "invalid_request", null],
  ];
  test.each(cases)("%s", async (_what, send, status, code, param) => {
    const response = await send();
    const body = (await response.json()) as { error: Record<string, unknown> };
    expect([response.status, body]).toEqual([
      status,
      { error: { message: expect.stringMatching(/./), type: body.error.type, code, param } },
    ]);
    expect(body.error.type).toBeString();
    expect(response.headers.get("access-control-allow-origin")).toBeNull();
  });
});

describe("the message of an error says what to do about", () => {
  const cases: [what: string, send: () => Promise<Response>, says: RegExp][] = [
    ["a wrong key", () => request("/v1/models", { key: "sk-wrong" }), /Authorization: Bearer .*chat\.key/],
    ["an unknown address", () => request("/v1/moderations", { method: "POST" }), /POST \/v1\/chat\/completions/],
    ["a body that is not JSON", () => chat("{"), /Send one JSON object/],
    ["no messages", () => chat({}), /^messages is missing; it must be an array\.$/],
    ["a huge body", () => huge("/v1/chat/completions", world.server.key), /32 MB\. Send fewer/],
    [
      "a text part without a text",
      () => chat(user([{ type: "text" }])),
      /^messages\[0\]\.content\[0\] needs a text\.$/,
    ],
    [
      "an image part without an image",
      () => chat(user([{ type: "image_url" }])),
      /needs an image_url with a data: URL/,
    ],
    [
      "a workspace that is not allowed",
      () => chat(user("x"), { "x-openclaw-workspace": `${world.claude.workspace}/../claude/x` }),
      /SYNTHESIS_ALLOWED_ROOTS/,
    ],
    ["an unknown response format", () => chat({ ...user("x"), user: undefined, response_format: 5 }), /json_schema/],
  ];
  test.each(cases)("%s", async (_what, send, says) => {
    const { error } = (await (await send()).json()) as { error: { message: string } };
    expect(error.message).toMatch(says);
  });
});

test("a response to a wrong method names the right ones", async () => {
  expect((await request("/chat/completions")).headers.get("allow")).toBe("POST");
  expect((await request("/models/opus", { method: "PUT" })).headers.get("allow")).toBe("GET");
});

test("rejects the preflight request of a browser", async () => {
  const response = await request("/v1/chat/completions", {
    method: "OPTIONS",
    key: null,
    headers: { origin: "http://evil.example", "access-control-request-method": "POST" },
  });
  expect(response.status).toBe(403);
  expect([...response.headers.keys()].filter((name) => name.startsWith("access-control"))).toEqual([]);
});

test("/health needs no key and says nothing private", async () => {
  const response = await request("/health", { key: null });
  expect(await response.json()).toEqual({
    ok: true,
    version,
    processes: expect.any(Number),
    conns: expect.any(Number),
    login: expect.stringMatching(/^(ok|expired|unknown)$/),
    engines: [{ agent: null, engine: "interactive", reason: "setting" }],
    rejections: [],
  });
});

test("/ready needs no key, and is 503 without Claude Code", async () => {
  const ready = await request("/ready", { key: null });
  expect([ready.status, await ready.json()]).toEqual([200, { ready: true }]);
  await using withoutClaude = await createWorld({ standIn: true, env: { SYNTHESIS_CLAUDE_BIN: "/no/such/claude" } });
  const unavailable = await fetch(`${withoutClaude.server.url}/ready`);
  expect([unavailable.status, await unavailable.json()]).toEqual([503, { ready: false, reason: "claude_not_found" }]);
  expect([unavailable.headers.get("retry-after"), unavailable.headers.get("x-should-retry")]).toEqual([null, "false"]);
});

test("rejects every request of a page of another site or port, even to /health", async () => {
  for (const path of ["/health", "/ready", "/v1/models", "/health/"]) {
    for (const site of ["cross-site", "same-site"]) {
      const response = await request(path, { headers: { "sec-fetch-site": site } });
      const { error } = (await response.json()) as { error: { code: string } };
      expect([path, site, response.status, error.code]).toEqual([path, site, 403, "origin_not_allowed"]);
    }
    // A browser sends these for an address that the user typed, and for a page of our own.
    for (const site of ["none", "same-origin"]) {
      expect((await request(path, { headers: { "sec-fetch-site": site } })).status).toBe(200);
    }
  }
});

test("every response forbids embedding by other sites and guessing its type", async () => {
  const responses = [
    await request("/health", { key: null }),
    await request("/health", { method: "HEAD", key: null }),
    await request("/ready", { key: null }),
    await request("/v1/models"),
    await request("/v1/models", { key: null }),
    await request("/v1/nothing"),
    await request("/v1/models", { headers: { origin: "http://evil.example" } }),
    await request("/v1/chat/completions", { method: "OPTIONS" }),
    await request("/hooks", { method: "POST", body: "{}" }),
    await request("/bridge"),
    await chat("{"),
    await chat(user("hello")),
    await chat({ ...user("hello"), stream: true }),
  ];
  for (const response of responses) {
    const { headers } = response;
    expect([
      response.url,
      response.status,
      headers.get("cross-origin-resource-policy"),
      headers.get("x-content-type-options"),
    ]).toEqual([response.url, response.status, "same-origin", "nosniff"]);
    await response.text();
  }
});

test("a workspace with a NUL character is not allowed", async () => {
  for (const name of [
    "%00",
    "/a%00b",
    `${encodeURI(world.claude.workspace)}/%00`,
    `${encodeURI(world.claude.workspace)}%00/x`,
  ]) {
    const response = await chat(user("x"), { "x-openclaw-workspace": name });
    const { error } = (await response.json()) as { error: { code: string; message: string } };
    expect([name, response.status, error.code]).toEqual([name, 400, "workspace_not_allowed"]);
    expect(error.message).not.toContain("\0");
  }
  // OpenClaw's system prompt only suggests a workspace, so an invalid one is ignored.
  const system = `<!-- openclaw:attempt:STABLE -->\n## Workspace\nWorking directory: /a\0b\n`;
  const response = await chat({
    user: "guess",
    messages: [
      { role: "system", content: system },
      { role: "user", content: "hi" },
    ],
  });
  expect(response.status).toBe(200);
  await response.text();
});

test("a chat works at both of its addresses, and on localhost", async () => {
  for (const path of ["/chat/completions", "/v1/chat/completions"]) {
    const response = await fetch(`${world.server.url.replace("127.0.0.1", "localhost")}${path}`, {
      method: "POST",
      headers: { ...JSON_TYPE, authorization: `Bearer ${world.server.key}` },
      body: JSON.stringify(user("hello")),
    });
    expect(await response.json()).toMatchObject({ choices: [{ message: { content: "You said: hello" } }] });
  }
});

test("the new input is all user messages after the last answer", async () => {
  const response = await chat({
    messages: [
      { role: "user", content: "old" },
      { role: "assistant", content: "answer" },
      { role: "user", content: "one" },
      { role: "user", content: [{ type: "text", text: "two" }] },
    ],
    user: "new",
  });
  const { choices } = (await response.json()) as { choices: { message: { content: string } }[] };
  expect(choices[0]?.message.content).toMatch(/^You said: <context>.*User: old.*<\/context>\n\none\n\ntwo$/s);
});

test("other machines cannot connect to the server", async () => {
  const port = Number(new URL(world.server.url).port);
  const addresses = Object.values(networkInterfaces()).flatMap((all) => all ?? []);
  for (const { address } of addresses.filter(({ internal, family }) => !internal && family === "IPv4")) {
    const { promise, resolve } = Promise.withResolvers<string>();
    const socket = connect(port, address, () => resolve("connected")).on("error", () => resolve("refused"));
    expect(await promise).toBe("refused");
    socket.destroy();
  }
});

test("an unknown setting ends the start with a suggestion", async () => {
  const child = Bun.spawn([...PROGRAM], {
    env: { ...world.claude.env, SYNTHESIS_HOME: `${world.claude.base}/other`, SYNTHESIS_BRIGE_PORT: "1" },
    stderr: "pipe",
  });
  expect(await child.exited).toBe(2);
  expect(await child.stderr.text()).toContain("Did you mean SYNTHESIS_BRIDGE_PORT?");
});

test("a port that is taken ends the start, and the error names it", async () => {
  const port = new URL(world.server.url).port;
  const child = Bun.spawn([...PROGRAM, "serve", "--bridge-port", port, "--home", `${world.claude.base}/other`], {
    env: world.claude.env,
    stderr: "pipe",
  });
  expect(await child.exited).toBe(2);
  expect(await child.stderr.text()).toContain(`Port ${port} on 127.0.0.1 is already in use`);
});
