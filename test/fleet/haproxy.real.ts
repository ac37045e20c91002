/** The configuration of HAProxy in deploy/, before services that stand for nodes: where it sends requests, and when. */
import { afterAll, beforeAll, beforeEach, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { errorBody } from "../../src/wire/errors.ts";
import { daemonFolder } from "../support/daemon.ts";
import { checkHaproxy } from "../support/haproxy.ts";
import { type Balancer, DEPLOY, shippedConfig, startBalancer } from "./balancer.ts";

interface Node {
  readonly name: string;
  readonly port: number;
  isReady: boolean;
  isRunning: boolean;
  /** How it answers a chat. */
  answer: (request: Request) => Response | Promise<Response>;
  chats: number;
  readonly server: Bun.Server<undefined>;
}

function startNode(name: string): Node {
  const node = { name, isReady: true, isRunning: true, chats: 0 } as unknown as Node & { server: Node["server"] };
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    idleTimeout: 0,
    fetch: (request) => {
      const { pathname } = new URL(request.url);
      if (pathname === "/health") return new Response("", { status: node.isRunning ? 200 : 500 });
      if (pathname === "/ready") return new Response("", { status: node.isReady && node.isRunning ? 200 : 503 });
      node.chats += 1;
      return node.answer(request);
    },
  });
  return Object.assign(node, { server, port: server.port as number });
}

let nodes: Node[];
let tenantNode: Node;
let balancer: Balancer;
let url: string;

async function start(): Promise<void> {
  const cells = { main: { nodes }, acme: { nodes: [tenantNode], keys: ["a-key-of-acme"] } };
  // A request that has just ended still counts for the balance, so that the next one would go elsewhere now and then.
  balancer = await startBalancer(cells, (config) => config.replaceAll(/^ {2}hash-balance-factor .*\n/gm, ""));
  url = `${balancer.url}/v1/chat/completions`;
}

beforeAll(async () => {
  nodes = ["a", "b", "c"].map(startNode);
  tenantNode = startNode("acme");
  await start();
});
afterAll(async () => {
  await balancer?.[Symbol.asyncDispose]();
  await Promise.all([...nodes, tenantNode].map(({ server }) => server.stop(true)));
});
beforeEach(async () => {
  for (const node of [...nodes, tenantNode]) {
    Object.assign(node, { isReady: true, isRunning: true, chats: 0, answer: () => new Response(node.name) });
  }
  await untilNodes(["a", "b", "c"]);
});

interface Sent {
  readonly headers?: Record<string, string>;
  readonly body?: object;
  readonly signal?: AbortSignal;
}

const post = ({ headers = {}, body = {}, signal }: Sent = {}) =>
  fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify(body),
    ...(signal ? { signal } : {}),
  });
const nodeOf = async (sent: Sent) => (await post(sent)).text();

/** Sends requests without a name until exactly these nodes answer them in turn. */
async function untilNodes(names: readonly string[]): Promise<void> {
  for (;;) {
    const answers = new Set<string>();
    for (let count = 0; count < 12; count += 1) answers.add(await nodeOf({}));
    if ([...answers].toSorted().join() === names.join()) return;
    await Bun.sleep(20);
  }
}

/** Asks one after the other. */
async function each<T>(all: readonly T[], ask: (one: T) => Promise<string>): Promise<string[]> {
  const answers: string[] = [];
  for (const one of all) answers.push(await ask(one));
  return answers;
}

const session = (key: string): Sent => ({ headers: { "x-openclaw-session-key": key } });
const keys = Array.from({ length: 60 }, (_, index) => `agent:main:chat-${index}`);

test("HAProxy accepts the file", async () => {
  using folder = daemonFolder("haproxy-check");
  const path = join(folder.path, "haproxy.cfg");
  writeFileSync(path, shippedConfig.replaceAll("/etc/haproxy/", `${DEPLOY}/`));
  const { code, output } = await checkHaproxy(path);
  // The names of the nodes lead nowhere here.
  const warnings = output.match(/^\[(?:WARNING|ALERT)\].*/gm) ?? [];
  expect(warnings.filter((line) => !line.includes("could not resolve address"))).toEqual([]);
  expect(code).toBe(0);
});

test("a conversation comes to the same node each time, by its session key or by its user", async () => {
  const first = await each(keys, (key) => nodeOf(session(key)));
  const again = await each(keys, (key) => nodeOf(session(key)));
  const byUser = await each(keys, (user) => nodeOf({ body: { user, messages: [] } }));
  const late = await each(keys, (user) => nodeOf({ body: { messages: ["x".repeat(30_000)], user } }));

  expect(again).toEqual(first);
  expect(byUser).toEqual(first);
  expect(late).toEqual(first);
  expect(new Set(first)).toEqual(new Set(["a", "b", "c"]));
});

test("requests without a name, and bodies that are too large to be searched, are spread", async () => {
  const large = { messages: ["x".repeat(300_000)], user: "one" };
  const answers = [];
  for (let count = 0; count < 12; count += 1) answers.push(await nodeOf({ body: large }));
  expect(new Set(answers)).toEqual(new Set(["a", "b", "c"]));
});

test("a body that comes slowly is waited for", async () => {
  const body = new ReadableStream({
    async start(controller) {
      controller.enqueue('{"messages": [');
      for (let count = 0; count < 5; count += 1) {
        await Bun.sleep(600);
        controller.enqueue(" ");
      }
      controller.enqueue('], "user": "one"}');
      controller.close();
    },
  });
  const response = await fetch(url, { method: "POST", body });
  expect(await response.text()).toBe(await nodeOf({ body: { user: "one" } }));
});

test("an error that a node sends before it has read a large request reaches the client", async () => {
  for (const node of nodes) node.answer = () => new Response("", { status: 401 });
  for (let count = 0; count < 20; count += 1) {
    const { status } = await post({ body: { messages: ["x".repeat(3_000_000)] } });
    expect(status).toBe(401);
  }
});

test("without one of the nodes, only its conversations move", async () => {
  const before = await each(keys, (key) => nodeOf(session(key)));
  Object.assign(nodes[2] as Node, { isReady: false });
  await untilNodes(["a", "b"]);
  const without = await each(keys, (key) => nodeOf(session(key)));
  expect(without.filter((node) => node === "c")).toEqual([]);
  const moved = keys.filter((_, index) => before[index] !== "c" && before[index] !== without[index]);
  expect(moved).toEqual([]);
});

test("an answer that has begun is complete although its node is no longer ready", async () => {
  const { promise: held, resolve: release } = Promise.withResolvers<void>();
  const stream = () =>
    new Response(
      new ReadableStream({
        async start(controller) {
          controller.enqueue("begun ");
          await held;
          controller.enqueue("and ended");
          controller.close();
        },
      }),
    );
  const owner = nodes.find(({ name }) => name === "a") as Node;
  const key = await keyOf(owner);
  owner.answer = stream;
  const response = await post(session(key));
  owner.answer = () => new Response("a");
  owner.isReady = false;
  await untilNodes(["b", "c"]);
  release();
  expect(await response.text()).toBe("begun and ended");
});

test("a message that a node has received is not sent to another one", async () => {
  const owner = nodes[0] as Node;
  const key = await keyOf(owner);
  owner.answer = () => {
    // The connection breaks off before the response.
    process.nextTick(() => owner.server.stop(true));
    return new Promise<Response>(() => {});
  };
  const counts = nodes.map(({ chats }) => chats);
  const response = await post(session(key));
  expect(response.status).toBe(502);
  expect(errorBody.parse(await response.json()).error.code).toBe("node_unavailable");
  expect(response.headers.get("retry-after")).toBe("5");
  expect(nodes.map(({ chats }, at) => chats - (counts[at] ?? 0))).toEqual([1, 0, 0]);

  // Nothing listens there now: the message is sent to another node, though the check has not noticed it.
  expect(["b", "c"]).toContain(await nodeOf(session(key)));
  const replacement = startNode("a");
  nodes[0] = replacement;
  replacement.answer = () => new Response("a");
  await balancer[Symbol.asyncDispose]();
  await start();
});

test("where no node is ready, one that runs says why", async () => {
  for (const node of nodes) {
    node.isReady = false;
    node.answer = () => new Response("the reason", { status: 429, headers: { "retry-after": "77" } });
  }
  while ((await post()).status !== 429) await Bun.sleep(20);
  expect((await post()).headers.get("retry-after")).toBe("77");

  for (const node of nodes) node.isRunning = false;
  while ((await post()).status !== 503) await Bun.sleep(20);
  const response = await post();
  expect(errorBody.parse(await response.json()).error.code).toBe("node_unavailable");
  expect(response.headers.get("retry-after")).toBe("5");
});

test("a client that disconnects before the answer is noticed by the node", async () => {
  const { promise: disconnected, resolve } = Promise.withResolvers<void>();
  const { promise: received, resolve: receive } = Promise.withResolvers<void>();
  const owner = nodes[1] as Node;
  const key = await keyOf(owner);
  owner.answer = (request) => {
    request.signal.addEventListener("abort", () => resolve());
    receive();
    return new Promise<Response>(() => {});
  };
  const client = new AbortController();
  const response = post({ ...session(key), signal: client.signal }).catch(() => null);
  await received;
  client.abort();
  await disconnected;
  expect(await response).toBeNull();
});

test("the key of a tenant leads to its own nodes, in each header that may hold it", async () => {
  const headers = [
    { authorization: "Bearer a-key-of-acme" },
    { "x-api-key": "a-key-of-acme" },
    { "api-key": "a-key-of-acme" },
  ];
  for (const one of headers) expect(await nodeOf({ headers: one })).toBe("acme");
  expect(await nodeOf({ headers: { authorization: "Bearer another-key" } })).not.toBe("acme");
});

/** A session key that HAProxy sends to this node. */
async function keyOf(node: Node): Promise<string> {
  for (const key of keys) if ((await nodeOf(session(key))) === node.name) return key;
  throw new Error(`no key leads to ${node.name}`);
}
