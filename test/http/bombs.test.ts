/** Requests, hooks and frames that are made to end or to stop the server: each costs only itself. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { deflateSync, gzipSync, zstdCompressSync } from "node:zlib";
import { controlKey } from "../support/control.ts";
import { ask, texts } from "../support/sse.ts";
import { createWorld, type World } from "../support/world.ts";
import { worstBodies } from "../support/worst-bodies.ts";

const MEGABYTE = 1024 * 1024;
let world: World;
let standIns: string;
beforeAll(async () => {
  world = await createWorld({
    standIn: true,
    prepare: ({ base, env }) => {
      standIns = join(base, "stand-ins");
      env.STAND_IN_ENV = standIns;
    },
  });
});
afterAll(() => world[Symbol.asyncDispose]());

const say = async (content: string, user: string) =>
  (await Array.fromAsync(texts(await world.server.post(ask(content, { user }))))).join("");

/** A conversation with a process, and that process's tokens. */
async function standIn(user: string): Promise<{ bridge: string; hook: string }> {
  expect(await say("hello", user)).toBe("You said: hello");
  const all = readFileSync(standIns, "utf8").trim().split("\n");
  const env = JSON.parse(all.findLast((line) => line.includes(`"user:${user}"`)) ?? "");
  return { bridge: env.SYNTHESIS_BRIDGE_TOKEN, hook: env.SYNTHESIS_HOOK_TOKEN };
}

const list = (count: number, item: (at: number) => string) => Array.from({ length: count }, (_, at) => item(at)).join();
const deep = (depth: number) => `${'{"a":'.repeat(depth)}1${"}".repeat(depth)}`;
/** By the bound that each goes beyond. */
const BOMBS: Record<string, readonly [value: string, bound: RegExp]> = {
  depth: [deep(40_000), /levels deep/],
  "arrays in arrays": ["[".repeat(20_000) + "]".repeat(20_000), /levels deep/],
  "small values": [`[${list(200_001, () => "1")}]`, /values/],
  "field names": [`{${list(20_001, (at) => `"k${at}":1`)}}`, /field names/],
  digits: ["1".repeat(MEGABYTE / 2), /number/],
};

const json = { "content-type": "application/json" };
const body = async (response: Response) => {
  const { error } = (await response.json()) as { error: { code: string; message: string; param: string | null } };
  return { status: response.status, ...error };
};
const refused = (bound: RegExp) => ({ status: 400, code: "invalid_request", message: expect.stringMatching(bound) });
const post = (
  path: string,
  content: string | Uint8Array<ArrayBuffer> | ReadableStream,
  headers: Record<string, string> = {},
  key = world.server.key,
) =>
  fetch(`${world.server.url}${path}`, {
    method: "POST",
    headers: { ...json, authorization: `Bearer ${key}`, ...headers },
    body: content,
  });

/** Where a bomb can stand in a chat request. */
const places: [where: string, request: (bomb: string) => string][] = [
  [
    "a tool's schema",
    (bomb) =>
      `{"user":"u","messages":[{"role":"user","content":"a"}],"tools":[{"type":"function","function":{"name":"t","parameters":${bomb}}}]}`,
  ],
  ["a message", (bomb) => `{"messages":[{"role":"user","content":${bomb}}]}`],
  [
    "the arguments of a call",
    (bomb) =>
      `{"messages":[{"role":"assistant","tool_calls":[{"id":"c","function":{"name":"t","arguments":${bomb}}}]}]}`,
  ],
  [
    "a schema for the answer",
    (bomb) =>
      `{"messages":[{"role":"user","content":"a"}],"response_format":{"type":"json_schema","json_schema":{"schema":${bomb}}}}`,
  ],
  ["a field that is ignored", (bomb) => `{"messages":[{"role":"user","content":"a"}],"metadata":${bomb}}`],
  ["the whole body", (bomb) => bomb],
];

describe.each(places)("in %s", (_where, request) => {
  test.each(Object.entries(BOMBS))("%s are refused by name, however the body is sent", async (_what, [bomb, bound]) => {
    const text = request(bomb);
    const chunks = new ReadableStream({
      start(controller) {
        for (let at = 0; at < text.length; at += 10_000) controller.enqueue(Buffer.from(text.slice(at, at + 10_000)));
        controller.close();
      },
    });
    const answers = [
      await post("/v1/chat/completions", text),
      await post("/v1/chat/completions", chunks),
      await post("/v1/chat/completions", gzipSync(text), { "content-encoding": "gzip" }),
      await post("/v1/chat/completions", deflateSync(zstdCompressSync(text)), { "content-encoding": "zstd, deflate" }),
    ];
    for (const answer of answers) expect(await body(answer)).toMatchObject(refused(bound));
  });
});

test.each(Object.entries(BOMBS))("%s in an answer to a permission prompt are refused", async (_what, [bomb, bound]) => {
  const key = controlKey(world);
  expect(await body(await post("/v1/permissions/x", `{"behavior":${bomb}}`, {}, key))).toMatchObject(refused(bound));
});

test.each(Object.entries(BOMBS))("%s in a hook are refused, and its claude goes on", async (what, [bomb, bound]) => {
  const { hook } = await standIn(`hook ${what}`);
  for (const event of ["PermissionRequest", "PreToolUse", "Stop"]) {
    const text = `{"session_id":"s","transcript_path":"t","hook_event_name":"${event}","tool_name":"t","tool_input":${bomb}}`;
    expect(await body(await post("/hooks", text, {}, hook))).toMatchObject(refused(bound));
  }
  expect(await say("still there", `hook ${what}`)).toBe("You said: still there");
});

test.each(Object.entries(BOMBS))("a frame with %s is ignored, and its connection stays", async (what, [bomb]) => {
  const { bridge } = await standIn(`frame ${what}`);
  const socket = new WebSocket(`${world.server.url.replace("http", "ws")}/bridge`, {
    headers: { authorization: `Bearer ${bridge}` },
  });
  const answers: string[] = [];
  const ponged = Promise.withResolvers<void>();
  socket.onmessage = ({ data }) => {
    answers.push(JSON.parse(String(data)).type);
    if (answers.at(-1) === "pong") ponged.resolve();
  };
  socket.onclose = ({ code }) => ponged.reject(new Error(`closed with ${code}`));
  await new Promise<void>((resolve) => {
    socket.onopen = () => resolve();
  });
  socket.send(
    JSON.stringify({ type: "hello", pid: 1, openclaw_session: "x", claude_session: "x", plugin_version: "test" }),
  );
  socket.send(`{"type":"tool_call","id":"c","name":"t","arguments":{"a":${bomb}}}`);
  socket.send(`{"type":"reply","content":"a","extra":${bomb}}`);
  socket.send('{"type":"ping"}');
  await ponged.promise;
  expect(answers).toEqual(["hello_ack", "pong"]);
  socket.onclose = null;
  socket.close();
});

test("what is too much for one request is refused with the field and its limit", async () => {
  const message = '{"role":"user","content":"a"}';
  const cases: [request: string, param: string, limit: RegExp][] = [
    [`{"messages":[${list(5_001, () => message)}]}`, "messages", /5000 messages/],
    [
      `{"messages":[{"role":"user","content":[${list(20_001, () => '{"type":"text","text":"a"}')}]}]}`,
      "messages",
      /20000 parts/,
    ],
    [`{"messages":[{"role":"assistant","tool_calls":[${list(20_001, () => "1")}]}]}`, "messages", /20000 parts/],
    [`{"messages":[${message}],"tools":[${list(2_001, () => "1")}]}`, "tools", /2000/],
    [`{"messages":[${message}],"functions":[${list(2_001, () => "1")}]}`, "functions", /2000/],
    [`{"messages":[${message}],"modalities":[${list(2_001, () => "1")}]}`, "modalities", /2000/],
    [`{"messages":[{"role":"user","content":"${"a".repeat(4_000_001)}"}]}`, "messages", /4000000 characters/],
    [
      `{"messages":[${list(50, () => `{"role":"user","content":"${"a".repeat(90_000)}"}`)}]}`,
      "messages",
      /4000000 characters/,
    ],
    [
      `{"messages":[${message}],"tools":[{"type":"function","function":{"name":"t","description":"${"a".repeat(4_000_001)}"}}]}`,
      "tools",
      /4000000 characters/,
    ],
    [`{"messages":[{"role":"system","content":"${"a".repeat(500_001)}"},${message}]}`, "messages", /500000 characters/],
    [
      `{"user":"u","messages":[${list(10, () => `{"role":"developer","content":[{"type":"text","text":"${"a".repeat(60_000)}"}]}`)},${message}]}`,
      "messages",
      /500000 characters/,
    ],
  ];
  for (const [request, param, limit] of cases) {
    expect(await body(await post("/v1/chat/completions", request))).toMatchObject({ ...refused(limit), param });
  }
});

test("large images, many tools and a long system prompt are let in", async () => {
  const png = Buffer.concat([Buffer.from("89504e470d0a1a0a", "hex"), Buffer.alloc(10 * MEGABYTE - 8)]);
  const properties = Object.fromEntries(Array.from({ length: 30 }, (_, at) => [`field_${at}`, { type: "string" }]));
  const response = await world.server.post({
    user: "large",
    messages: [
      { role: "system", content: "s".repeat(490_000) },
      ...Array.from({ length: 1_000 }, (_, at) => ({ role: at % 2 ? "assistant" : "user", content: `past ${at}` })),
      {
        role: "user",
        content: [
          { type: "text", text: "hello" },
          { type: "image_url", image_url: { url: `data:image/png;base64,${png.toString("base64")}` } },
        ],
      },
    ],
    tools: Array.from({ length: 200 }, (_, at) => ({
      type: "function",
      function: { name: `tool_${at}`, parameters: { type: "object", properties } },
    })),
  });
  expect(response.status).toBe(200);
  await response.text();
});

test("a schema as deep as is let in reaches claude, wrapped or not", async () => {
  const schema = JSON.parse(deep(95));
  for (const parameters of [schema, { anyOf: [JSON.parse(deep(93))] }]) {
    const user = `deep ${Object.keys(parameters)[0]}`;
    const tools = [{ type: "function", function: { name: "lookup", parameters } }];
    const response = await world.server.post({ user, tools, messages: [{ role: "user", content: "call 1" }] });
    const { choices } = (await response.json()) as { choices: { finish_reason: string }[] };
    expect(choices[0]?.finish_reason).toBe("tool_calls");
  }
});

test.each(Object.keys(worstBodies))("a body of %s gets an answer", async (what) => {
  const response = await post("/v1/chat/completions", worstBodies[what]?.() ?? "");
  expect([200, 400]).toContain(response.status);
  await response.text();
});

test("a hook's body that is sent in chunks is cut off at its limit", async () => {
  const { hook } = await standIn("chunked");
  const socket = connect(Number(new URL(world.server.url).port), "127.0.0.1");
  const answer = Promise.withResolvers<string>();
  let received = "";
  socket.on("data", (bytes) => {
    received += bytes;
    if (received.includes("}}")) answer.resolve(received);
  });
  socket.on("error", () => {});
  socket.on("close", () => answer.resolve(received));
  socket.write(
    `POST /hooks HTTP/1.1\r\nHost: ${new URL(world.server.url).host}\r\nAuthorization: Bearer ${hook}\r\nTransfer-Encoding: chunked\r\n\r\n`,
  );
  socket.write('2\r\n["\r\n');
  // It never ends by itself: only the limit can bring the answer.
  const piece = `${MEGABYTE.toString(16)}\r\n${"x".repeat(MEGABYTE)}\r\n`;
  let isAnswered = false;
  const answered = answer.promise.then(() => {
    isAnswered = true;
  });
  while (!isAnswered) {
    const drained = Promise.withResolvers<void>();
    if (!socket.write(piece)) {
      socket.once("drain", drained.resolve);
      await Promise.race([drained.promise, answered]);
    } else await new Promise(setImmediate);
  }
  socket.destroy();
  expect(await answer.promise).toMatch(/^HTTP\/1\.1 413 [\s\S]*request_too_large/);
  expect(await say("still there", "chunked")).toBe("You said: still there");
});

test("20 000 bad frames leave a few lines in the log", async () => {
  const { bridge } = await standIn("noise");
  const before = world.server.log().length;
  const socket = new WebSocket(`${world.server.url.replace("http", "ws")}/bridge`, {
    headers: { authorization: `Bearer ${bridge}` },
  });
  const ponged = Promise.withResolvers<void>();
  socket.onmessage = ({ data }) => {
    if (JSON.parse(String(data)).type === "pong") ponged.resolve();
  };
  await new Promise<void>((resolve) => {
    socket.onopen = () => resolve();
  });
  socket.send(
    JSON.stringify({ type: "hello", pid: 1, openclaw_session: "x", claude_session: "x", plugin_version: "test" }),
  );
  for (let frame = 0; frame < 20_000; frame += 1) socket.send(`{"type":"shout","number":${frame}}`);
  socket.send('{"type":"ping"}');
  await ponged.promise;
  socket.close();
  const logged = world.server.log().slice(before);
  expect(logged.match(/frame ignored/g)?.length).toBe(20);
  expect(logged.length).toBeLessThan(20_000);
});
