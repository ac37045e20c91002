/** The addresses, hosts and methods that the server answers. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { RequestError } from "../../src/core/errors.ts";
import { loopbackGuard } from "../../src/http/guard.ts";
import { controlKey } from "../support/control.ts";
import { createHttpWorld, type HttpWorld, JSON_TYPE } from "../support/http-world.ts";
import { answerText } from "../support/sse.ts";
import { createWorld } from "../support/world.ts";

let world: HttpWorld;
beforeAll(async () => {
  world = await createHttpWorld();
});
afterAll(() => world[Symbol.asyncDispose]());

const user = (content: unknown) => ({ user: "me", messages: [{ role: "user", content }] });

describe("a base URL may lack /v1, repeat it, or have too many slashes", () => {
  test.each([
    "/v1/models",
    "/models",
    "/models/",
    "/v1//models",
    "//v1/models//",
    "/v1/v1/models",
    "/v1/v1//v1/models",
  ])("%s lists the models", async (path) => {
    const response = await world.request(path);
    expect([response.status, await response.json()]).toMatchObject([200, { object: "list" }]);
  });
  test.each(["/models/opus", "/v1/models/opus/", "/v1/v1/models/opus"])("%s is one model", async (path) => {
    expect(await (await world.request(path)).json()).toMatchObject({ id: "opus", object: "model" });
  });
  test.each(["/v1/v1/chat/completions", "//chat/completions", "/v1/chat//completions/"])(
    "%s answers a chat",
    async (path) => {
      const response = await world.postJson(path, { ...user("hello"), user: path });
      expect(await response.json()).toMatchObject({ choices: [{ message: { content: "You said: hello" } }] });
    },
  );
  test.each(["/v1", "/v1/v1", "/modelsx", "/v1/chat/completions/chat/completions"])(
    "%s does not exist, and the error names the base URL",
    async (path) => {
      const response = await world.request(path);
      expect(response.status).toBe(404);
      expect(await response.text()).toContain("The base URL ends in /v1");
    },
  );
  test.each(["/v1//sessions", "/v1/v1/sessions", "//v1/permissions", "/v1/v1/permissions/x"])(
    "%s needs the control key",
    async (path) => {
      const response = await world.request(path);
      expect([response.status, await response.text()]).toEqual([401, expect.stringContaining("control key")]);
    },
  );
});

describe("HEAD gets the status and headers of GET, and no body", () => {
  const expectSame = async (path: string, key: string | null) => {
    const send = async (method: string) => {
      const response = await world.request(path, { method, key });
      // Bun sends no date with the response to HEAD.
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
  ])("%s", (path) => expectSame(path, world.server.key));
  test("/v1/models without a key", () => expectSame("/v1/models", null));
  test.each(["/v1/sessions", "/v1/sessions/none", "/v1/permissions"])("%s", (path) =>
    expectSame(path, controlKey(world)),
  );
});

describe("the server", () => {
  test("listens on [::1], too, until it stops", async () => {
    await using other = await createWorld({ standIn: true });
    const { port } = new URL(other.server.url);
    const answer = await fetch(`http://[::1]:${port}/v1/chat/completions`, {
      method: "POST",
      headers: { ...JSON_TYPE, authorization: `Bearer ${other.server.key}` },
      body: JSON.stringify({ ...user("hello"), stream: true }),
    });
    expect(await answerText(answer)).toBe("You said: hello");
    await other.server.stop();
    for (const host of ["[::1]", "127.0.0.1"]) {
      const refused = (async () => fetch(`http://${host}:${port}/health`))();
      expect(refused).rejects.toThrow();
    }
  });

  test("logs a warning if another program has its port on [::1], and works on 127.0.0.1", async () => {
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
  test.each(hosts)("on port %d checks the host %s", (port, host, isOurs) => {
    const guard = loopbackGuard(port, { allowedHosts: [], allowedOrigins: [] });
    const passes = (headers: Record<string, string>) => {
      try {
        return guard(new Headers(headers)).isInternal;
      } catch (error) {
        if (error instanceof RequestError) return false;
        throw error;
      }
    };
    expect(passes({ host })).toBe(isOurs);
    expect(passes({ host: `localhost:${port}`, origin: `http://${host}` })).toBe(isOurs);
  });
});
