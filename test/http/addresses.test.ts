/** Under which addresses, hosts and methods the server answers. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createGuard } from "../../src/http/guard.ts";
import { controlKey } from "../support/control.ts";
import { texts } from "../support/sse.ts";
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

describe("a base URL with or without /v1, and with a slash too many", () => {
  test.each([
    "/v1/models",
    "/models",
    "/models/",
    "/v1//models",
    "//v1/models//",
    "/v1/v1/models",
    "/v1/v1//v1/models",
  ])("%s lists the models", async (path) => {
    const response = await request(path);
    expect([response.status, await response.json()]).toMatchObject([200, { object: "list" }]);
  });
  test.each(["/models/opus", "/v1/models/opus/", "/v1/v1/models/opus"])("%s is one model", async (path) => {
    expect(await (await request(path)).json()).toMatchObject({ id: "opus", object: "model" });
  });
  test.each(["/v1/v1/chat/completions", "//chat/completions", "/v1/chat//completions/"])("%s chats", async (path) => {
    const body = JSON.stringify({ ...user("hello"), user: path });
    const response = await request(path, { method: "POST", headers: json, body });
    expect(await response.json()).toMatchObject({ choices: [{ message: { content: "You said: hello" } }] });
  });
  test.each(["/v1", "/v1/v1", "/modelsx", "/v1/chat/completions/chat/completions"])(
    "%s is nothing, and hears what the base URL is",
    async (path) => {
      const response = await request(path);
      expect(response.status).toBe(404);
      expect(await response.text()).toContain("The base URL ends in /v1");
    },
  );
  test.each(["/v1//sessions", "/v1/v1/sessions", "//v1/permissions", "/v1/v1/permissions/x"])(
    "%s wants the control key all the same",
    async (path) => {
      const response = await request(path);
      expect([response.status, await response.text()]).toEqual([401, expect.stringContaining("control key")]);
    },
  );
});

describe("HEAD is GET without a body", () => {
  const same = async (path: string, key: string | null) => {
    const send = async (method: string) => {
      const response = await request(path, { method, key });
      // Bun leaves the date out of an answer to HEAD.
      const headers = [...response.headers].filter(([name]) => name !== "date" && name !== "connection");
      return { status: response.status, headers: headers.sort(), body: await response.text() };
    };
    const { body, ...head } = await send("HEAD");
    const { body: _body, ...get } = await send("GET");
    expect(head).toEqual(get);
    expect(body).toBe("");
  };
  test.each([
    "/health",
    "/ready",
    "/v1/models",
    "/models/opus",
    "/v1/models/gpt-99",
    "/v1/nothing",
    "/v1/chat/completions",
  ])("%s", (path) => same(path, world.server.key));
  test("/v1/models without a key", () => same("/v1/models", null));
  test.each(["/v1/sessions", "/v1/sessions/none", "/v1/permissions"])("%s", (path) => same(path, controlKey(world)));
});

describe("the address", () => {
  test("IPv6's loopback has the same port, and ends with the server", async () => {
    await using other = await createWorld({ standIn: true });
    const { port } = new URL(other.server.url);
    const answer = await fetch(`http://[::1]:${port}/v1/chat/completions`, {
      method: "POST",
      headers: { ...json, authorization: `Bearer ${other.server.key}` },
      body: JSON.stringify({ ...user("hello"), stream: true }),
    });
    expect((await Array.fromAsync(texts(answer))).join("")).toBe("You said: hello");
    await other.server.stop();
    for (const host of ["[::1]", "127.0.0.1"]) {
      const refused = (async () => fetch(`http://${host}:${port}/health`))();
      expect(refused).rejects.toThrow();
    }
  });

  test("warns when another program has the port on IPv6, and works on IPv4", async () => {
    using squatter = Bun.serve({ hostname: "::1", port: 0, fetch: () => new Response("not synthesis") });
    await using other = await createWorld({ standIn: true, env: { SYNTHESIS_BRIDGE_PORT: `${squatter.port}` } });
    expect(await other.server.logged(/\[::1\] is taken by another program/)).toContain("WARN");
    expect((await fetch(`${other.server.url}/health`)).status).toBe(200);
  });

  const hosts: [port: number, host: string, isOurs: boolean][] = [
    [80, "localhost", true],
    [80, "127.0.0.1", true],
    [80, "[::1]", true],
    [80, "LOCALHOST:80", true],
    [80, "localhost:18990", false],
    [80, "evil.example", false],
    [18990, "localhost:18990", true],
    [18990, "localhost", false],
    [18990, "[::1]", false],
    [18990, "localhost:80", false],
  ];
  test.each(hosts)("on port %d Host: %s", (port, host, isOurs) => {
    const guard = createGuard(port);
    expect(guard(new Headers({ host })) === null).toBe(isOurs);
    const own = `localhost:${port}`;
    expect(guard(new Headers({ host: own, origin: `http://${host}` })) === null).toBe(isOurs);
  });
});
