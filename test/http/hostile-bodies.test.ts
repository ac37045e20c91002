/** Requests, hooks and frames that could crash or block the server. Each is rejected, and all others are answered. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { connect } from "node:net";
import { deflateSync, gzipSync, zstdCompressSync } from "node:zlib";
import { controlKey } from "../support/control.ts";
import { createHttpWorld, HELLO, type HttpWorld, JSON_TYPE } from "../support/http-world.ts";
import { worstBodies } from "../support/worst-bodies.ts";

const MEGABYTE = 1024 * 1024;
let world: HttpWorld;
beforeAll(async () => {
  world = await createHttpWorld();
});
afterAll(() => world[Symbol.asyncDispose]());

/** Starts a conversation. @returns the tokens of its process */
async function tokens(user: string): Promise<{ bridge: string; hook: string }> {
  const { SYNTHESIS_BRIDGE_TOKEN: bridge = "", SYNTHESIS_HOOK_TOKEN: hook = "" } = await world.startConversation(user);
  return { bridge, hook };
}

const list = (count: number, item: (at: number) => string) => Array.from({ length: count }, (_, at) => item(at)).join();
const deep = (depth: number) => `${'{"a":'.repeat(depth)}1${"}".repeat(depth)}`;
/** Hostile JSON values, and the bound that each exceeds. */
const HOSTILE: Record<string, readonly [value: string, bound: RegExp]> = {
  "nested objects": [deep(40_000), /levels deep/],
  "nested arrays": ["[".repeat(20_000) + "]".repeat(20_000), /levels deep/],
  "many small values": [`[${list(200_001, () => "1")}]`, /values/],
  "many field names": [`{${list(20_001, (at) => `"k${at}":1`)}}`, /field names/],
  "long numbers": ["1".repeat(MEGABYTE / 2), /number/],
};

const errorOf = async (response: Response) => {
  const { error } = (await response.json()) as { error: { code: string; message: string; param: string | null } };
  return { status: response.status, ...error };
};
const rejection = (bound: RegExp) => ({ status: 400, code: "invalid_request", message: expect.stringMatching(bound) });
const post = (
  path: string,
  content: string | Uint8Array<ArrayBuffer> | ReadableStream,
  headers: Record<string, string> = {},
  key = world.server.key,
) =>
  fetch(`${world.server.url}${path}`, {
    method: "POST",
    headers: { ...JSON_TYPE, authorization: `Bearer ${key}`, ...headers },
    body: content,
  });

/** Where a chat request can hold a hostile value. */
const locations: [where: string, request: (value: string) => string][] = [
  [
    "a tool's schema",
    (value) =>
      `{"user":"u","messages":[{"role":"user","content":"a"}],"tools":[{"type":"function","function":{"name":"t","parameters":${value}}}]}`,
  ],
  ["a message", (value) => `{"messages":[{"role":"user","content":${value}}]}`],
  [
    "the arguments of a tool call",
    (value) =>
      `{"messages":[{"role":"assistant","tool_calls":[{"id":"c","function":{"name":"t","arguments":${value}}}]}]}`,
  ],
  [
    "a schema of the answer",
    (value) =>
      `{"messages":[{"role":"user","content":"a"}],"response_format":{"type":"json_schema","json_schema":{"schema":${value}}}}`,
  ],
  ["a field that is ignored", (value) => `{"messages":[{"role":"user","content":"a"}],"metadata":${value}}`],
  ["the whole body", (value) => value],
];

describe.each(locations)("in %s", (_where, request) => {
  test.each(Object.entries(HOSTILE))(
    "%s are rejected with the name of the bound, however the body is sent",
    async (_what, [value, bound]) => {
      const text = request(value);
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
        await post("/v1/chat/completions", deflateSync(zstdCompressSync(text)), {
          "content-encoding": "zstd, deflate",
        }),
      ];
      for (const answer of answers) expect(await errorOf(answer)).toMatchObject(rejection(bound));
    },
  );
});

test.each(Object.entries(HOSTILE))(
  "%s in a verdict on a permission prompt are rejected",
  async (_what, [value, bound]) => {
    const key = controlKey(world);
    expect(await errorOf(await post("/v1/permissions/x", `{"behavior":${value}}`, {}, key))).toMatchObject(
      rejection(bound),
    );
  },
);

test.each(Object.entries(HOSTILE))(
  "%s in a hook are rejected, and the conversation continues",
  async (what, [value, bound]) => {
    const { hook } = await tokens(`hook ${what}`);
    for (const event of ["PermissionRequest", "PreToolUse", "Stop"]) {
      const text = `{"session_id":"s","transcript_path":"t","hook_event_name":"${event}","tool_name":"t","tool_input":${value}}`;
      expect(await errorOf(await post("/hooks", text, {}, hook))).toMatchObject(rejection(bound));
    }
    expect(await world.say("still there", `hook ${what}`)).toBe("You said: still there");
  },
);

test.each(Object.entries(HOSTILE))(
  "a frame with %s is ignored, and its connection stays open",
  async (what, [value]) => {
    const { bridge } = await tokens(`frame ${what}`);
    const peer = world.connectBridge(bridge);
    await peer.opened;
    peer.send(HELLO);
    peer.send(`{"type":"tool_call","id":"c","name":"t","arguments":{"a":${value}}}`);
    peer.send(`{"type":"reply","content":"a","extra":${value}}`);
    peer.send({ type: "ping" });
    expect(await peer.next()).toMatchObject({ type: "hello_ack" });
    expect(await peer.next()).toEqual({ type: "pong" });
    peer.close();
  },
);

test("a request that exceeds a limit is rejected with the field and its limit", async () => {
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
    expect(await errorOf(await post("/v1/chat/completions", request))).toMatchObject({ ...rejection(limit), param });
  }
});

test("large images, many tools and a long system prompt are accepted", async () => {
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

test("the deepest schema that is accepted reaches Claude, wrapped or not", async () => {
  const schema = JSON.parse(deep(95));
  for (const parameters of [schema, { anyOf: [JSON.parse(deep(93))] }]) {
    const user = `deep ${Object.keys(parameters)[0]}`;
    const tools = [{ type: "function", function: { name: "lookup", parameters } }];
    const response = await world.server.post({ user, tools, messages: [{ role: "user", content: "call 1" }] });
    const { choices } = (await response.json()) as { choices: { finish_reason: string }[] };
    expect(choices[0]?.finish_reason).toBe("tool_calls");
  }
});

test.each(Object.keys(worstBodies))("a body of %s gets a response", async (what) => {
  const response = await post("/v1/chat/completions", worstBodies[what]?.() ?? "");
  expect([200, 400]).toContain(response.status);
  await response.text();
});

test("the server stops reading the chunked body of a hook at its limit", async () => {
  const { hook } = await tokens("chunked");
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
  // The body never ends, so only the limit can end the request.
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
  expect(await world.say("still there", "chunked")).toBe("You said: still there");
});

test("20 000 unknown frames are logged in a few lines", async () => {
  const { bridge } = await tokens("noise");
  const before = world.server.log().length;
  const peer = world.connectBridge(bridge);
  await peer.opened;
  peer.send(HELLO);
  for (let frame = 0; frame < 20_000; frame += 1) peer.send(`{"type":"shout","number":${frame}}`);
  peer.send({ type: "ping" });
  expect(await peer.next()).toMatchObject({ type: "hello_ack" });
  expect(await peer.next()).toEqual({ type: "pong" });
  peer.close();
  const logged = world.server.log().slice(before);
  expect(logged.match(/frame ignored/g)?.length).toBe(20);
  expect(logged.length).toBeLessThan(20_000);
});
