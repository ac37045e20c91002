/** What a page and its token may do, over HTTP. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { controlKey } from "../support/control.ts";
import { createHttpWorld, type HttpWorld, JSON_TYPE } from "../support/http-world.ts";

let world: HttpWorld;
beforeAll(async () => {
  world = await createHttpWorld();
});
afterAll(() => world[Symbol.asyncDispose]());

const post = (path: string, body: string | ReadableStream, key: string | null = null) =>
  world.request(path, { method: "POST", headers: JSON_TYPE, body, key });
const outcome = async (response: Response) => [
  response.status,
  ((await response.json()) as { error?: { code: string } }).error?.code,
];

/** Comes in. @returns the code that was used, and the token */
async function enter(role: "look" | "decide"): Promise<{ code: string; token: string }> {
  const { code } = (await (await post("/v1/page/codes", JSON.stringify({ role }), controlKey(world))).json()) as {
    code: string;
  };
  const { token } = (await (await post("/v1/page/tokens", JSON.stringify({ code }))).json()) as { token: string };
  return { code, token };
}

test("the request that needs no key is limited before it is read, however it is sent", async () => {
  const large = JSON.stringify({ code: "x".repeat(20_000_000) });
  for (const body of [large, new Blob([large]).stream()]) {
    expect(await outcome(await post("/v1/page/tokens", body))).toEqual([413, "request_too_large"]);
  }
  const chunked = new Blob(['{"code":"no"}']).stream();
  expect(await outcome(await post("/v1/page/tokens", chunked))).toEqual([401, "invalid_page_code"]);
});

test("a code works once, and neither it nor the token is logged", async () => {
  const { code, token } = await enter("decide");
  expect(await outcome(await post("/v1/page/tokens", JSON.stringify({ code })))).toEqual([401, "invalid_page_code"]);
  for (const secret of [code, token]) expect(world.server.log()).not.toContain(secret);
});

test("a token opens what the page needs, by its role, until the page signs out", async () => {
  const [look, decide] = [(await enter("look")).token, (await enter("decide")).token];
  for (const key of [look, decide]) {
    for (const path of ["/v1/sessions", "/v1/permissions", "/v1/usage"]) {
      expect([path, (await world.request(path, { key })).status]).toEqual([path, 200]);
    }
    for (const path of ["/v1/config", "/v1/models", "/v1/limits", "/metrics"]) {
      expect([path, (await world.request(path, { key })).status]).toEqual([path, 401]);
    }
    expect((await post("/v1/page/codes", '{"role":"decide"}', key)).status).toBe(401);
  }
  for (const [method, path] of [
    ["POST", "/v1/sessions/x/reset"],
    ["POST", "/v1/sessions/x/interrupt"],
    ["DELETE", "/v1/sessions/x"],
    ["POST", "/v1/permissions/x"],
  ] as const) {
    const send = (key: string) => world.request(path, { method, headers: JSON_TYPE, body: '{"behavior":"deny"}', key });
    expect([path, ...(await outcome(await send(look)))]).toEqual([path, 403, "role_not_allowed"]);
    expect([path, (await send(decide)).status]).toEqual([path, 404]);
  }
  const live = await world.request("/v1/live", { key: look });
  const signOut = () => world.request("/v1/page/tokens/current", { method: "DELETE", key: look });
  expect((await signOut()).status).toBe(200);
  const events = await live.text();
  expect(events).toContain("event: overview");
  expect(events).toEndWith('event: end\ndata: {"reason":"signed_out"}\n\n');
  expect((await world.request("/v1/sessions", { key: look })).status).toBe(401);
  expect((await signOut()).status).toBe(401);
});
