/** `GET /openapi.json`: what the server sends fits the document, and what it refuses does not. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import Ajv2020 from "ajv/dist/2020";
import { controlKey } from "../support/control.ts";
import { createHttpWorld, type HttpWorld, JSON_TYPE } from "../support/http-world.ts";
import { ask, events } from "../support/sse.ts";

interface Content {
  readonly schema: object;
  readonly example?: object;
}
interface Operation {
  readonly requestBody?: { readonly content: Record<string, Content> };
  readonly responses: Record<string, { readonly content?: Record<string, Content> }>;
}
interface OpenApi {
  readonly openapi: string;
  readonly paths: Record<string, Record<string, Operation>>;
  readonly components: { readonly schemas: Record<string, object> };
}

let world: HttpWorld;
let document: OpenApi;
const ajv = new Ajv2020({ strict: false, validateFormats: false });
beforeAll(async () => {
  world = await createHttpWorld();
  document = (await (await world.request("/openapi.json", { key: null })).json()) as OpenApi;
  ajv.addSchema(document, "openapi");
});
afterAll(() => world[Symbol.asyncDispose]());

/** What does not fit the schema at this place of the document; null when all fits. */
function misfits(operation: string, place: string, value: unknown): unknown {
  const [method = "", path = ""] = operation.split(" ");
  const steps = ["paths", path, method.toLowerCase(), ...place.split(" ")];
  const pointer = steps.map((step) => encodeURIComponent(step.replaceAll("~", "~0").replaceAll("/", "~1"))).join("/");
  const check = ajv.compile({ $ref: `openapi#/${pointer}` });
  return check(value) ? null : check.errors;
}
const answerOf = (status: number, type = "application/json") => `responses ${status} content ${type} schema`;
const BODY = "requestBody content application/json schema";

test("is an OpenAPI 3.1 document that every program can read without a key", () => {
  expect(document.openapi).toBe("3.1.0");
  expect(Object.keys(document.paths).length).toBeGreaterThan(15);
});

describe("an answer fits its schema:", () => {
  test.each<[operation: string, path: string, init?: object]>([
    ["GET /health", "/health"],
    ["GET /ready", "/ready"],
    ["GET /openapi.json", "/openapi.json"],
    ["GET /v1/models", "/v1/models"],
    ["GET /v1/models/{id}", "/v1/models/opus"],
    ["GET /v1/limits", "/v1/limits"],
    ["GET /v1/sessions", "/v1/sessions"],
    ["GET /v1/sessions/{key}", "/v1/sessions/user%3Ame"],
    ["GET /v1/permissions", "/v1/permissions"],
    ["GET /v1/usage", "/v1/usage?by=model"],
    ["GET /v1/config", "/v1/config"],
    ["POST /v1/config/roots", "/v1/config/roots", { method: "POST", headers: JSON_TYPE, body: '{"add":["/srv/a"]}' }],
    ["POST /v1/sessions/{key}/reset", "/v1/sessions/user%3Ame/reset", { method: "POST" }],
    ["DELETE /v1/sessions/{key}", "/v1/sessions/user%3Ame", { method: "DELETE" }],
  ])("%s", async (operation, path, init = {}) => {
    await world.say("hello", "me");
    const isControl = /sessions|permissions|usage|config/.test(path);
    const response = await world.request(path, { ...init, key: isControl ? controlKey(world) : world.server.key });
    expect(response.status).toBe(200);
    expect(misfits(operation, answerOf(200), await response.json())).toBeNull();
  });

  test("a chat completion, and the chunks of a streamed one", async () => {
    const chat = "POST /v1/chat/completions";
    const whole = await world.postJson("/v1/chat/completions", ask("hello", { stream: false }));
    expect(misfits(chat, answerOf(200), await whole.json())).toBeNull();
    for await (const chunk of events(await world.server.post(ask("call 1", { tools: [TOOL] })))) {
      if (chunk !== "[DONE]") expect(misfits(chat, answerOf(200, "text/event-stream"), chunk)).toBeNull();
    }
  });

  test("a response, and the events of a streamed one", async () => {
    const operation = "POST /v1/responses";
    const whole = await world.postJson("/v1/responses", { user: "r", input: "hello" });
    expect(misfits(operation, answerOf(200), await whole.json())).toBeNull();
    const streamed = await world.postJson("/v1/responses", { user: "r", input: "hello", stream: true });
    const lines = (await streamed.text()).split("\n").filter((line) => line.startsWith("data: {"));
    expect(lines.length).toBeGreaterThan(5);
    for (const line of lines) {
      expect(misfits(operation, answerOf(200, "text/event-stream"), JSON.parse(line.slice(6)))).toBeNull();
    }
  });
});

const TOOL = { type: "function", function: { name: "lookup", parameters: { type: "object" } } };

test("a message, the events of a streamed one, and an error of Anthropic's API fit their schemas", async () => {
  const operation = "POST /v1/messages";
  const messages = [{ role: "user", content: "hello" }];
  const whole = await world.postJson("/v1/messages", { messages });
  expect(misfits(operation, answerOf(200), await whole.json())).toBeNull();
  const streamed = await (await world.postJson("/v1/messages", { messages, stream: true })).text();
  for (const [, data = ""] of streamed.matchAll(/^data: (.*)$/gm)) {
    expect(misfits(operation, answerOf(200, "text/event-stream"), JSON.parse(data))).toBeNull();
  }
  const refused = await world.postJson("/v1/messages", { messages: [] });
  expect(misfits(operation, answerOf(refused.status), await refused.json())).toBeNull();
});

describe("a body is refused exactly where it does not fit:", () => {
  test.each<[what: string, path: string, body: object]>([
    ["a chat", "/v1/chat/completions", { messages: [{ role: "user", content: "hello" }] }],
    ["no messages", "/v1/chat/completions", {}],
    ["an unknown role", "/v1/chat/completions", { messages: [{ role: "robot", content: "x" }] }],
    ["a wrong type", "/v1/chat/completions", { messages: [{ role: "user", content: "x" }], stream: "yes" }],
    ["a response", "/v1/responses", { input: "hello", store: false }],
    ["a response in the background", "/v1/responses", { input: "hello", background: true }],
  ])("%s", async (_what, path, body) => {
    const response = await world.postJson(path, body);
    const isWrong = misfits(`POST ${path}`, BODY, body) !== null;
    expect([response.status, isWrong]).toEqual(isWrong ? [400, true] : [200, false]);
  });

  test("the examples fit, and are accepted", async () => {
    for (const [path, item] of Object.entries(document.paths)) {
      const { schema, example } = item.post?.requestBody?.content["application/json"] ?? {};
      if (schema === undefined || path.includes("{")) continue;
      expect(misfits(`POST ${path}`, BODY, example)).toBeNull();
      // The code of the example is not one that the server has made.
      if (path === "/v1/page/tokens") continue;
      const key = /config|page/.test(path) ? controlKey(world) : world.server.key;
      const sent = { method: "POST", headers: JSON_TYPE, body: JSON.stringify(example), key };
      expect([path, (await world.request(path, sent)).status]).toEqual([path, 200]);
    }
  });
});

test("an error fits its schema, under its own status", async () => {
  const response = await world.postJson("/v1/chat/completions", { messages: [] });
  expect(misfits("POST /v1/chat/completions", answerOf(response.status), await response.json())).toBeNull();
  expect(misfits("POST /v1/chat/completions", answerOf(400), { error: "no" })).not.toBeNull();
});
