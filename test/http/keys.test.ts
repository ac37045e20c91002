/** In which headers a key is taken. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { controlKey } from "../support/control.ts";
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

describe("a key", () => {
  const control = () => controlKey(world);
  const keys: [what: string, headers: (key: string) => Record<string, string>, isTaken: boolean][] = [
    ["as a bearer token", (key) => ({ authorization: `Bearer ${key}` }), true],
    ["in a scheme of small letters", (key) => ({ authorization: `bearer ${key}` }), true],
    ["as Azure's client sends it", (key) => ({ "api-key": key }), true],
    ["as Anthropic's client sends it", (key) => ({ "x-api-key": key }), true],
    ["beside another one that is wrong", (key) => ({ authorization: "Bearer none", "api-key": key }), true],
    ["before another one that is wrong", (key) => ({ authorization: `Bearer ${key}`, "x-api-key": "none" }), true],
    ["without a scheme", (key) => ({ authorization: key }), false],
    ["with something behind it", (key) => ({ "x-api-key": `${key}x` }), false],
    ["cut short", (key) => ({ "api-key": key.slice(0, -1) }), false],
    ["that is empty", () => ({ "api-key": "", "x-api-key": "" }), false],
  ];
  test.each(keys)("%s", async (_what, headers, isTaken) => {
    for (const [path, key] of [
      ["/v1/models", world.server.key],
      ["/v1/sessions", control()],
    ] as const) {
      const response = await request(path, { key: null, headers: headers(key) });
      expect(response.status).toBe(isTaken ? 200 : 401);
      expect(response.headers.get("www-authenticate")).toBe(isTaken ? null : "Bearer");
    }
  });
  test("of the wrong kind opens nothing", async () => {
    expect((await request("/v1/models", { key: null, headers: { "x-api-key": control() } })).status).toBe(401);
    expect((await request("/v1/sessions", { key: null, headers: { "x-api-key": world.server.key } })).status).toBe(401);
    expect((await request("/hooks", { method: "POST", key: null, body: "{}" })).headers.get("www-authenticate")).toBe(
      "Bearer",
    );
  });
});
