/** The configured addresses: what they serve, to whom, and how they are opened and closed. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { CERTIFICATE, CERTIFICATE_KEY } from "../support/certificate.ts";
import { controlKey } from "../support/control.ts";
import { createHttpWorld, type HttpWorld, JSON_TYPE } from "../support/http-world.ts";
import { startServer } from "../support/server.ts";
import { ask, texts } from "../support/sse.ts";

const PAGE = "https://app.example.com";
const FOREIGN = "https://evil.example";

let world: HttpWorld;
let control: string;
/** The URLs of the three addresses of the server. */
let [chats, guarded, own]: string[] = [];
let socket: string;
const tls = { ca: CERTIFICATE };

beforeAll(async () => {
  world = await createHttpWorld({
    // A process in a terminal has hooks and a plugin.
    env: { SYNTHESIS_ENGINE: "interactive" },
    prepare: ({ base, env }) => {
      const [cert, key] = [join(base, "cert.pem"), join(base, "key.pem")];
      writeFileSync(cert, CERTIFICATE);
      writeFileSync(key, CERTIFICATE_KEY);
      socket = join(base, "chat.sock");
      Object.assign(env, {
        SYNTHESIS_LISTEN: `127.0.0.1:0, ${socket}`,
        SYNTHESIS_CONTROL_LISTEN: "localhost:0",
        SYNTHESIS_TLS_CERT: cert,
        SYNTHESIS_TLS_KEY: key,
        SYNTHESIS_ALLOWED_HOSTS: "chat.example.com",
        SYNTHESIS_ALLOWED_ORIGINS: PAGE,
      });
    },
  });
  control = controlKey(world);
  const url = async (what: string) => {
    const line = await world.server.printed(new RegExp(`also listens on https.*\\(${what}\\)`));
    return /(https:\S+)\/v1/.exec(line)?.[1] as string;
  };
  [chats, guarded, own] = [await url("chats"), await url("control"), world.server.url];
});
afterAll(() => world[Symbol.asyncDispose]());

type Init = RequestInit & { readonly key?: string | null; readonly unix?: string };
const send = (url: string, { key = world.server.key, headers, ...init }: Init = {}) => {
  const authorization = key === null ? {} : { authorization: `Bearer ${key}` };
  return fetch(url, { ...init, tls, headers: { ...authorization, ...(headers as object) } });
};
const chat = (url: string, { headers, ...init }: Init = {}) =>
  send(`${url}/v1/chat/completions`, {
    ...init,
    method: "POST",
    headers: { ...JSON_TYPE, ...(headers as object) },
    body: JSON.stringify(ask("hello", { user: "me", stream: false })),
  });
const error = async (response: Response) => {
  const { error } = (await response.json()) as { error: { code: string } };
  return [response.status, error.code];
};

describe("an address for chats", () => {
  test("answers a chat, in the same conversation as the other addresses", async () => {
    for (const url of [chats, own] as string[]) {
      const response = await chat(url);
      expect(await response.json()).toMatchObject({ choices: [{ message: { content: "You said: hello" } }] });
      expect(response.headers.get("x-synthesis-session")).toBe("user:me");
    }
  });

  test("does not serve the control API, hooks or plugins, whatever the key", async () => {
    for (const path of ["/v1/sessions", "/v1//permissions", "/v1/usage", "/v1/config", "/v1/%73essions"]) {
      expect([path, ...(await error(await send(`${chats}${path}`, { key: control })))]).toEqual([
        path,
        404,
        "unknown_url",
      ]);
    }
    const { SYNTHESIS_HOOK_TOKEN: token = "" } = await world.startConversation("hooks");
    const hook = (url: string) => send(`${url}/hooks`, { method: "POST", key: token, headers: JSON_TYPE, body: "{}" });
    expect((await hook(own as string)).status).not.toBe(401);
    expect((await hook(chats as string)).status).toBe(401);
    const bridge = await send(`${chats}/bridge`, { headers: { upgrade: "websocket", connection: "upgrade" } });
    expect(bridge.status).toBe(404);
  });

  test("needs the key", async () => {
    expect(await error(await chat(chats as string, { key: "sk-wrong" }))).toEqual([401, "invalid_api_key"]);
  });
});

test("no client is believed that another node has sent its request on", async () => {
  // A node does not serve its page to another node.
  for (const url of [guarded, own] as string[]) {
    expect((await send(`${url}/page`, { headers: { "x-synthesis-forwarded": "1" } })).status).toBe(200);
  }
  expect(
    await error(await send(`${chats}/v1/sessions`, { key: control, headers: { "x-synthesis-forwarded": "1" } })),
  ).toEqual([404, "unknown_url"]);
});

describe("an address for the control API", () => {
  test("serves it, and no chats", async () => {
    expect((await send(`${guarded}/v1/sessions`, { key: control })).status).toBe(200);
    expect(await error(await send(`${guarded}/v1/sessions`))).toEqual([401, "invalid_api_key"]);
    expect(await error(await chat(guarded as string))).toEqual([404, "unknown_url"]);
  });
});

describe("the Host header", () => {
  test.each([
    ["an address in numbers", "192.168.1.7:8080"],
    ["IPv6", "[fd00::1]:8080"],
    ["localhost with another port", "localhost:1"],
    ["an allowed name", "chat.example.com"],
    ["an allowed name with a port, in capitals", "CHAT.example.com:8443"],
  ])("may be %s", async (_what, host) => {
    expect((await send(`${chats}/v1/models`, { headers: { host } })).status).toBe(200);
  });
  test.each(["evil.example", "chat.example.com.evil.example", "192.168.1.7.evil.example", ""])(
    "may not be %p",
    async (host) => {
      expect(await error(await send(`${chats}/v1/models`, { headers: { host: host || "-" } }))).toEqual([
        403,
        "host_not_allowed",
      ]);
    },
  );
  test("with an allowed name reaches only chats on the server's own port, because a proxy sends it", async () => {
    const headers = { host: "chat.example.com" };
    expect((await send(`${own}/v1/models`, { headers })).status).toBe(200);
    expect(await error(await send(`${own}/v1/sessions`, { headers, key: control }))).toEqual([404, "unknown_url"]);
    expect((await send(`${own}/hooks`, { headers, method: "POST" })).status).toBe(405);
  });
});

describe("a web page", () => {
  const preflight = {
    "access-control-request-method": "POST",
    "access-control-request-headers": "authorization,x-own",
  };
  test("of an allowed origin may send chats from any address, and read the answers and the errors", async () => {
    for (const url of [chats, own] as string[]) {
      const origin = { origin: PAGE, "sec-fetch-site": "cross-site" };
      const asked = await send(`${url}/v1/chat/completions`, {
        method: "OPTIONS",
        key: null,
        headers: { ...origin, ...preflight },
      });
      expect([asked.status, asked.headers.get("access-control-allow-origin")]).toEqual([204, PAGE]);
      expect(asked.headers.get("access-control-allow-methods")).toContain("POST");
      expect(asked.headers.get("access-control-allow-headers")).toBe("authorization,x-own");

      const streamed = await send(`${url}/v1/chat/completions`, {
        method: "POST",
        headers: { ...JSON_TYPE, ...origin },
        body: JSON.stringify(ask("hello", { user: "me" })),
      });
      expect(streamed.headers.get("access-control-allow-origin")).toBe(PAGE);
      expect(streamed.headers.get("access-control-expose-headers")).toBe("*");
      let answer = "";
      for await (const text of texts(streamed)) answer += text;
      expect(answer).toBe("You said: hello");

      const refused = await chat(url, { key: "sk-wrong", headers: origin });
      expect([refused.status, refused.headers.get("access-control-allow-origin")]).toEqual([401, PAGE]);
    }
  });

  test("of an allowed origin never reaches the control API", async () => {
    for (const url of [guarded, own] as string[]) {
      const response = await send(`${url}/v1/sessions`, { key: control, headers: { origin: PAGE } });
      expect(await error(response)).toEqual([404, "unknown_url"]);
    }
  });

  test("of another scheme than the server's is another page", async () => {
    for (const [url, scheme, status] of [
      [own, "http", 200],
      [own, "https", 403],
      [chats, "https", 200],
      [chats, "http", 403],
    ] as const) {
      const { host } = new URL(url as string);
      const response = await send(`${url}/v1/models`, { headers: { origin: `${scheme}://${host}` } });
      expect([url, scheme, response.status]).toEqual([url, scheme, status]);
    }
    const proxied = { host: "chat.example.com", origin: "http://chat.example.com" };
    expect((await send(`${own}/v1/models`, { headers: proxied })).status).toBe(403);
  });

  test.each([FOREIGN, "null", "https://app.example.com.evil.example", "http://app.example.com"])(
    "of origin %s is rejected",
    async (origin) => {
      const response = await send(`${chats}/v1/chat/completions`, {
        method: "OPTIONS",
        key: null,
        headers: { origin, ...preflight },
      });
      expect(response.headers.get("access-control-allow-origin")).toBeNull();
      expect(await error(response)).toEqual([403, "origin_not_allowed"]);
    },
  );
});

describe("a Unix socket", () => {
  const through = (path: string) => send("http://localhost/v1/models", { unix: path });
  test("answers, and only its owner can use it", async () => {
    expect((await through(socket)).status).toBe(200);
    expect(statSync(socket).mode & 0o777).toBe(0o600);
  });

  test("is replaced after its server was killed, and is not taken from one that runs", async () => {
    const path = join(world.claude.base, "second.sock");
    const state = (name: string) => ({
      ...world.serverEnv,
      SYNTHESIS_HOME: join(world.claude.base, name),
      SYNTHESIS_LISTEN: path,
      SYNTHESIS_CONTROL_LISTEN: "",
    });
    const killed = await startServer(state("killed"));
    await killed.stop("SIGKILL");
    expect(existsSync(path)).toBe(true);

    const server = await startServer(state("killed"));
    await expect(startServer(state("other"))).rejects.toThrow(
      `cannot listen on ${path}: another program listens on it`,
    );
    expect((await send("http://localhost/v1/models", { unix: path, key: server.key })).status).toBe(200);
    await server.stop();
    expect(existsSync(path)).toBe(false);
  });
});

test("an address that is taken keeps the server from starting, and is named", async () => {
  const taken = new URL(world.server.url).host;
  const env = { ...world.serverEnv, SYNTHESIS_HOME: join(world.claude.base, "third"), SYNTHESIS_LISTEN: taken };
  await expect(startServer(env)).rejects.toThrow(`synthesis cannot listen on ${taken}`);
});
