/** Which key opens which address, and in which headers a key is accepted. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type AppDeps, createApp } from "../../src/http/app.ts";
import { controlKey } from "../support/control.ts";
import { createWorld, type World } from "../support/world.ts";

let world: World;
beforeAll(async () => {
  world = await createWorld({ standIn: true });
});
afterAll(() => world[Symbol.asyncDispose]());

const send = (path: string, method = "GET", headers: Record<string, string> = {}) =>
  fetch(`${world.server.url}${path}`, { method, headers });
const bearer = (key: string) => ({ authorization: `Bearer ${key}` });

/** Every route of the app. None of the dependencies is used until a request arrives. */
const routes = createApp({
  config: { allowedOrigins: [] },
  callers: {},
  controlKey: "",
  metricsKey: "",
  pages: {},
} as unknown as AppDeps)
  .routes.filter(({ method, path }) => method !== "ALL" && !/^\/(v1\/)?page(?!\/codes)/.test(path))
  .map(({ method, path }) => ({ method, path: path.replaceAll(/:\w+/g, "x") }));
const withoutKey = ["/health", "/ready", "/openapi.json"];
const isControl = (path: string) => /^\/(?:v1\/(?:sessions|permissions|config|usage|live|page)|metrics)/.test(path);
const withKey = routes.filter(({ path }) => !withoutKey.includes(path));

describe("every route asks for its key", () => {
  test("the walk finds the routes", () => {
    expect(routes.length).toBeGreaterThan(15);
    expect(routes.filter(({ path }) => withoutKey.includes(path))).toEqual([
      { method: "GET", path: "/health" },
      { method: "GET", path: "/ready" },
      { method: "GET", path: "/openapi.json" },
    ]);
  });

  test.each(withKey)("$method $path", async ({ method, path }) => {
    const otherKey = isControl(path) ? world.server.key : controlKey(world);
    for (const headers of [{}, bearer(""), bearer("wrong"), bearer(otherKey)]) {
      const response = await send(path, method, headers);
      const { error } = (await response.json()) as { error: { code: string } };
      expect([headers, response.status, error.code]).toEqual([headers, 401, "invalid_api_key"]);
    }
  });

  test("under every spelling of its path", async () => {
    const spellings = (path: string) => [
      `${path}/`,
      `/${path}`,
      `/v1${path}`,
      path.replace("/v1/", "/v1//"),
      path.replace("/v1/", "/v1/v1/"),
      path.replace("/v1/", "/"),
      path.replace(/\w(?=\w*$)/, (letter) => `%${letter.charCodeAt(0).toString(16)}`),
      `${path}?key=x`,
    ];
    for (const { method, path } of withKey) {
      for (const spelling of spellings(path)) {
        const { status } = await send(spelling, method);
        expect([method, spelling, status]).toEqual([method, spelling, 401]);
      }
    }
  });

  test("for every method", async () => {
    for (const { path } of withKey) {
      for (const method of ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "QUERY"]) {
        expect([method, path, (await send(path, method)).status]).toEqual([method, path, 401]);
      }
    }
    for (const path of withoutKey) {
      for (const method of ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"]) {
        expect([method, path, (await send(path, method)).status]).toEqual([method, path, 405]);
      }
    }
  });

  test("as do unknown addresses, the hooks and the bridge", async () => {
    for (const path of ["/", "/v1", "/v1/nothing", "/health/x", "/ready/x", "/healthx", "/v1/health", "/hooks/x"]) {
      for (const method of ["GET", "POST"]) {
        expect([method, path, (await send(path, method)).status]).toEqual([method, path, 401]);
      }
    }
    for (const method of ["GET", "POST", "PUT"]) {
      for (const headers of method === "POST" ? [{}, bearer(world.server.key), bearer(controlKey(world))] : [{}]) {
        expect([method, (await send("/hooks", method, headers)).status]).toEqual([method, 401]);
      }
    }
    // A WebSocket with a wrong token is closed (bridge.test.ts); any other request learns nothing.
    expect((await send("/bridge")).status).toBe(400);
    expect((await send("/bridge/x")).status).toBe(401);
  });
});

describe("a key is", () => {
  const forms: [form: string, headers: (key: string) => Record<string, string>, isAccepted: boolean][] = [
    ["accepted as a bearer token", bearer, true],
    ["accepted when the scheme is in lower case", (key) => ({ authorization: `bearer ${key}` }), true],
    ["accepted in the header of Azure's client", (key) => ({ "api-key": key }), true],
    ["accepted in the header of Anthropic's client", (key) => ({ "x-api-key": key }), true],
    ["accepted after a wrong key", (key) => ({ ...bearer("none"), "api-key": key }), true],
    ["accepted before a wrong key", (key) => ({ ...bearer(key), "x-api-key": "none" }), true],
    ["rejected without a scheme", (key) => ({ authorization: key }), false],
    ["rejected with another scheme", (key) => ({ authorization: `Basic ${btoa(`x:${key}`)}` }), false],
    ["rejected with more characters", (key) => ({ "x-api-key": `${key}x` }), false],
    ["rejected without its last character", (key) => ({ "api-key": key.slice(0, -1) }), false],
    ["rejected when it is empty", () => ({ "api-key": "", "x-api-key": "" }), false],
  ];
  test.each(forms)("%s", async (_form, headers, isAccepted) => {
    for (const [path, key] of [
      ["/v1/models", world.server.key],
      ["/v1/sessions", controlKey(world)],
    ] as const) {
      const response = await send(path, "GET", headers(key));
      expect(response.status).toBe(isAccepted ? 200 : 401);
      expect(response.headers.get("www-authenticate")).toBe(isAccepted ? null : "Bearer");
    }
  });
});

test("the error for a hook without a token names the authentication scheme", async () => {
  expect((await send("/hooks", "POST")).headers.get("www-authenticate")).toBe("Bearer");
});
