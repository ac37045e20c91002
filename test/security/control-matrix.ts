/** Every route with every wrong credential: the server must show nothing and do nothing. */
import { connect } from "node:net";
import { type Check, must, within } from "./check.ts";
import { checkAnswer } from "./entries.ts";
import { runAttack } from "./pauses.ts";
import { MARKER, RESPONSE_TIMEOUT_MS, type Target } from "./target.ts";

interface Route {
  readonly method: string;
  readonly path: string;
  readonly key: "control" | "chat" | "hook" | "none";
}

const route = (key: Route["key"], method: string, path: string): Route => ({ key, method, path });

/** All routes. @param session the encoded key of a session that exists */
const routes = (session: string): Route[] => [
  route("control", "GET", "/v1/sessions"),
  route("control", "HEAD", "/v1/sessions"),
  route("control", "GET", `/v1/sessions/${session}`),
  route("control", "DELETE", `/v1/sessions/${session}?transcript=1`),
  route("control", "POST", `/v1/sessions/${session}/interrupt`),
  route("control", "POST", `/v1/sessions/${session}/reset`),
  route("control", "GET", `/v1/sessions/${session}/screen`),
  route("control", "GET", "/v1/permissions"),
  route("control", "POST", "/v1/permissions/none"),
  route("control", "POST", "/v1/config/reload"),
  route("chat", "POST", "/v1/chat/completions"),
  route("chat", "POST", "/chat/completions"),
  route("chat", "GET", "/v1/models"),
  route("chat", "GET", "/v1/models/opus"),
  route("hook", "POST", "/hooks"),
  route("none", "GET", "/health"),
  route("none", "GET", "/ready"),
];

/** Other spellings of an address, and addresses that one parser could mistake for another. */
const SPELLINGS: readonly ((path: string) => string)[] = [
  (path) => path,
  (path) => `${path.split("?")[0]}/`,
  (path) => path.replaceAll("/", "//"),
  (path) => `/v1${path}`,
  (path) => `/v1/v1/v1${path}`,
  (path) => path.replace("/v1/", "/v1/./"),
  (path) => path.replace("/v1/", "/v1/x/../"),
  (path) => path.replace("/v1/", "/v1/%2e/"),
  (path) => path.replace("/v1/", "/health/..%2fv1/"),
  (path) => path.replace("/v1/", "/health/%2e%2e/v1/"),
  (path) => path.replace("/v1/", "/health//../v1/"),
  (path) => path.replace("/v1/", "/v1%2f"),
  (path) => path.replace("/v1/", "/%76%31/"),
  (path) => path.replace("sess", "%73ess").replace("perm", "%70erm"),
  (path) => path.toUpperCase(),
  (path) => path.replace("/v1/", "/V1/"),
  (path) => path.replace("/v1/", "\\v1\\"),
  (path) => path.replace("/v1/", "/health;/v1/"),
  (path) => `${path}#/health`,
  (path) => `/health?${path}`,
  (path) => `/ready${path}`,
  (path) => `/hooks${path}`,
  (path) => `http://127.0.0.1${path}`,
  (path) => `http://evil.example${path}`,
];

type Headers = Record<string, string>;
const bearer = (token: string): Headers => ({ Authorization: `Bearer ${token}` });

/** Credentials that the server must reject: wrong keys, and `key` where the server must not read it. */
function credentials(key: string, others: Record<string, string>): [name: string, headers: Headers, query?: string][] {
  const changed = key.slice(0, -1) + (key.endsWith("A") ? "B" : "A");
  return [
    ["nothing", {}],
    ...Object.entries(others).map(([name, token]): [string, Headers] => [name, bearer(token)]),
    ...Object.entries(others).map(([name, token]): [string, Headers] => [`${name} as api-key`, { "api-key": token }]),
    ["a wrong key", bearer("sk-synthesis-wrong")],
    ["an empty key", { Authorization: "Bearer " }],
    ["a key that is undefined", bearer("undefined")],
    ["the beginning of the key", bearer(key.slice(0, -1))],
    ["the key with another last character", bearer(changed)],
    ["the key with a character added", bearer(`${key}A`)],
    ["the key in upper case", bearer(key.toUpperCase())],
    ["the key in basic authentication", { Authorization: `Basic ${btoa(`x:${key}`)}` }],
    ["the key without a scheme", { Authorization: key }],
    ["the key in a cookie", { Cookie: `key=${key}; authorization=Bearer ${key}; control=${key}` }],
    ["the key in the query", {}, `key=${key}&api_key=${key}&token=${key}&authorization=Bearer%20${key}`],
    ["the key in other headers", { "X-Key": key, "Proxy-Authorization": `Bearer ${key}`, "X-Authorization": key }],
    ["the key for a proxy's client", { "X-Forwarded-For": "127.0.0.1", "X-Forwarded-Host": "localhost" }],
    ["another method in a header", { "X-HTTP-Method-Override": "GET", "X-Original-URL": "/health" }],
  ];
}

/** Sends a request exactly as given. @returns the head and the body of the response */
function ask(port: number, { method, path }: Route, headers: Headers, body: string): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  const socket = connect(port, "127.0.0.1");
  let answer = "";
  socket.on("data", (bytes) => {
    answer += bytes.toString("latin1");
  });
  socket.on("error", () => {});
  socket.on("close", () => resolve(answer));
  const all: Headers = { Host: `127.0.0.1:${port}`, Connection: "close", ...headers };
  if (body !== "") {
    all["Content-Type"] = "application/json";
    all["Content-Length"] = `${Buffer.byteLength(body)}`;
  }
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}`);
  socket.write(`${[`${method} ${path} HTTP/1.1`, ...lines].join("\r\n")}\r\n\r\n${body}`);
  return within(promise, RESPONSE_TIMEOUT_MS, `${method} ${path} is answered`);
}

const bodyOf = ({ method, key }: Route): string =>
  method !== "POST"
    ? ""
    : key === "chat"
      ? JSON.stringify({ user: "intruder", messages: [{ role: "user", content: MARKER }] })
      : '{"behavior":"allow"}';

const statusOf = (answer: string) => Number(/^HTTP\/1\.1 (\d+)/.exec(answer)?.[1] ?? 0);

interface Attempt {
  readonly name: string;
  readonly route: Route;
  readonly headers: Headers;
}

/** Sends a request that must be refused. @throws Breach when the response shows something */
async function isRefused(target: Target, { name, route, headers }: Attempt): Promise<void> {
  const port = Number(new URL(target.server().url).port);
  const answer = await ask(port, route, headers, bodyOf(route));
  const status = statusOf(answer);
  const what = `${route.method} ${route.path} with ${name}`;
  must(status !== 500, `${what} is answered with 500`);
  const isPublic = /"login":|"ready":/.test(answer) || (route.method === "HEAD" && status === 200);
  must(status === 0 || status >= 400 || isPublic, `${what} is answered with ${status}`);
  must(!/"object":|claude_session|"deleted"|"behavior"/.test(answer), `${what} shows something`);
  must(!target.allSecrets().some((secret) => answer.includes(secret)), `${what} shows a key or token`);
}

/** The sessions as the control route lists them. A refused request must not change them. */
async function state(target: Target): Promise<string> {
  const headers = bearer(target.controlKey);
  const sessions = await fetch(`${target.server().url}/v1/sessions`, { headers });
  const { data } = (await sessions.json()) as { data: Record<string, unknown>[] };
  return JSON.stringify(data.map(({ key, claude_session, pid, turns }) => [key, claude_session, pid, turns]));
}

const CONCURRENCY = 16;

async function all(target: Target, attempts: readonly Attempt[]): Promise<void> {
  const before = await state(target);
  const waiting = [...attempts];
  const worker = async () => {
    for (let one = waiting.shift(); one; one = waiting.shift()) await isRefused(target, one);
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, worker));
  must((await state(target)) === before, "the sessions have changed");
}

/** @param other a second server. Its keys must open nothing on this one */
export function controlMatrix(target: Target, other: Target): Check[] {
  const matrix = async (of: Route["key"]): Promise<Attempt[]> => {
    const { bridge, hook } = await target.secrets("matrix");
    const stranger = await other.secrets("matrix");
    const { key: chat } = target.server();
    const own: Record<string, string> = { control: target.controlKey, chat, hook, bridge };
    const foreign = {
      "the control key of another server": other.controlKey,
      "the chat key of another server": other.server().key,
      "the hook token of another server": stranger.hook,
    };
    const others: Record<string, string> = { ...own, ...foreign };
    delete others[of];
    return routes("user%3Amatrix")
      .filter(({ key }) => key === of)
      .flatMap((route) =>
        SPELLINGS.flatMap((spell) =>
          credentials(own[of] ?? "", others).map(([name, headers, query]) => {
            const path = spell(route.path);
            return {
              name,
              headers,
              route: { ...route, path: query ? `${path}${path.includes("?") ? "&" : "?"}${query}` : path },
            };
          }),
        ),
      );
  };
  const run = (attempts: () => Promise<Attempt[]>) => () =>
    runAttack(target, async () => all(target, await attempts()));

  /** Requests with the right key that come from a web page or name another host. */
  const elsewhere = (headers: Headers) => async (): Promise<Attempt[]> => {
    const { hook } = await target.secrets("matrix");
    const own: Record<string, string> = { control: target.controlKey, chat: target.server().key, hook };
    return routes("user%3Amatrix").map((route) => ({
      name: JSON.stringify(headers),
      route,
      headers: { ...bearer(own[route.key] ?? ""), ...headers },
    }));
  };
  const port = new URL(target.server().url).port;
  const hosts = ["evil.example", `evil.example:${port}`, "127.0.0.1", "127.0.0.1:1", "0.0.0.0", `127.0.0.1.:${port}`];
  const origins = ["http://evil.example", "null", `https://127.0.0.1:${port}`, `http://127.0.0.1:${port}.evil.example`];

  return [
    {
      name: "way in: the right key opens each route",
      run: () =>
        runAttack(target, async () => {
          const { hook } = await target.secrets("matrix");
          const own: Record<string, string> = { control: target.controlKey, chat: target.server().key, hook };
          const safe = routes("user%3Amatrix").filter(
            ({ path }) => !/[?]|interrupt|reset|screen|none|config/.test(path),
          );
          for (const route of safe) {
            const status = statusOf(await ask(Number(port), route, bearer(own[route.key] ?? ""), bodyOf(route)));
            must(status === 200, `${route.method} ${route.path} is answered with ${status}`);
          }
        }),
    },
    { name: "way in: control routes without the control key", run: run(() => matrix("control")) },
    { name: "way in: chat routes without the chat key", run: run(() => matrix("chat")) },
    { name: "way in: hooks without a hook token", run: run(() => matrix("hook")) },
    ...hosts.map((host) => ({
      name: `way in: the right key with the host ${host}`,
      run: run(async () => {
        const attempts = await elsewhere({ Host: host })();
        return attempts.map((one) => ({ ...one, route: { ...one.route, key: "control" as const } }));
      }),
    })),
    ...origins.map((origin) => ({
      name: `way in: the right key from a page of ${origin}`,
      run: run(elsewhere({ Origin: origin })),
    })),
    {
      name: "way in: every address refuses a browser's cross-site request",
      run: () =>
        runAttack(target, async () => {
          for (const { method, path } of routes("user%3Amatrix").filter(({ method }) => method === "GET")) {
            for (const key of [target.controlKey, target.server().key]) {
              const headers = { ...bearer(key), "Sec-Fetch-Site": "cross-site" };
              const answer = await ask(Number(port), { method, path, key: "none" }, headers, "");
              must(statusOf(answer) === 403, `${path} is answered with ${statusOf(answer)}`);
            }
          }
        }),
    },
    {
      name: "way in: no response can be read by another site or interpreted as another type",
      run: () =>
        runAttack(target, async () => {
          const { url, key } = target.server();
          for (const path of ["/health", "/ready", "/v1/models", "/nowhere", "/hooks", "/bridge", "/v1/sessions"]) {
            for (const headers of [{}, bearer(key), { Host: "evil.example" }]) {
              const { headers: answered } = await fetch(`${url}${path}`, { headers });
              must(answered.get("cross-origin-resource-policy") === "same-origin", `${path} has no CORP`);
              must(answered.get("x-content-type-options") === "nosniff", `${path} has no nosniff`);
              must(!answered.has("access-control-allow-origin"), `${path} allows an origin`);
            }
          }
        }),
    },
    {
      name: "way in: the bridge accepts only the token of one of its own processes",
      run: () =>
        runAttack(target, async () => {
          const { hook } = await target.secrets("matrix");
          const stranger = await other.secrets("matrix");
          const tokens = ["", "wrong", hook, target.controlKey, target.server().key, stranger.bridge, other.controlKey];
          for (const token of tokens) {
            const socket = new WebSocket(`${target.server().url.replace("http", "ws")}/bridge`, {
              headers: bearer(token) as Record<string, string>,
            });
            const code = await within(
              new Promise<number>((resolve) => {
                socket.onclose = ({ code }) => resolve(code);
                socket.onmessage = () => resolve(0);
              }),
              RESPONSE_TIMEOUT_MS,
              "a socket is closed",
            );
            must(code !== 0, "a socket with a wrong token gets a frame");
          }
        }),
    },
    {
      name: "way in: an invalid or forbidden workspace is refused with a 4xx",
      run: () =>
        runAttack(target, async () => {
          for (const workspace of [
            "/tmp/a%00b",
            "/tmp/\u0000",
            "/etc",
            "/proc/self/root",
            "\u007f",
            "x".repeat(9_000),
          ]) {
            const { key } = target.server();
            const headers = { ...bearer(key), "x-openclaw-workspace": workspace };
            const chat = route("chat", "POST", "/v1/chat/completions");
            const answer = await ask(Number(port), chat, headers, bodyOf(chat));
            const status = statusOf(answer);
            must(status >= 400 && status < 500, `a workspace ${JSON.stringify(workspace).slice(0, 40)}: ${status}`);
          }
          await checkAnswer(await target.server().post({ user: "matrix", messages: [] }));
        }),
    },
  ];
}
