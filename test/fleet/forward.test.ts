/** Requests between nodes: what is sent on, whom a node believes, and what ends a request that gets no answer. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { setImmediate } from "node:timers/promises";
import { Hono } from "hono";
import { errorResponse } from "../../src/api/openai-chat/error-response.ts";
import type { Clock } from "../../src/core/clock.ts";
import { RequestError } from "../../src/core/errors.ts";
import type { NodeIdentity } from "../../src/fleet/certificate.ts";
import { NodeTrust } from "../../src/fleet/trust.ts";
import type { Env } from "../../src/http/env.ts";
import { createForward } from "../../src/http/forward.ts";
import { openNodeListener } from "../../src/http/node-listener.ts";
import type { ServeDeps } from "../../src/http/serve.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { NODE_URL, NodeFolders } from "../support/node-trust.ts";
import { startTcpProxy } from "../support/tcp-proxy.ts";

const CONTROL_KEY = "control-synthesis-of-all-nodes";
const SECOND = 1000;

const folders = new NodeFolders();
let [first, second, rogue]: NodeIdentity[] = [];
const closing: (() => unknown)[] = [];

beforeAll(async () => {
  [first, second, rogue] = await Promise.all(["first", "second", "rogue"].map((name) => folders.join(name)));
});
afterAll(async () => {
  for (const close of closing) await close();
  folders[Symbol.dispose]();
});

const identities = (...all: (NodeIdentity | undefined)[]) => all as NodeIdentity[];
const json = { headers: { "content-type": "application/json" } };

/** The node that has the conversation. Its app says what has arrived. */
function openOwner(members: readonly NodeIdentity[], app = echo()) {
  const trust = folders.trust("first", members);
  const deps = { config: { bridgePingMs: SECOND }, metrics: { noteError: () => {} } } as unknown as ServeDeps;
  const listener = openNodeListener(deps, app, { host: "127.0.0.1", port: 0 }, trust);
  closing.push(() => listener.stop());
  return { url: `https://127.0.0.1:${listener.port}`, trust, listener };
}

const echo = () =>
  new Hono<Env>().all("*", async (c) => {
    const { access } = c.env;
    c.header("x-answered", "yes");
    c.header("keep-alive", "timeout=5");
    return c.json({
      method: c.req.method,
      url: c.req.url,
      headers: c.req.header(),
      body: await c.req.text(),
      access,
    });
  });

interface SenderOptions {
  readonly trust: NodeTrust;
  readonly to: string;
  readonly leaseLeftMs?: () => number;
  readonly clock?: Clock;
  readonly page?: AbortSignal;
}

/** The node that a client has reached. It forwards everything. */
function openSender({ trust, to, leaseLeftMs = () => 60 * SECOND, clock, page }: SenderOptions): string {
  const forward = createForward({
    trust,
    controlKey: CONTROL_KEY,
    messages: { note: () => {} },
    ...(clock && { clock }),
  });
  const app = new Hono<Env>()
    .all("*", async (c) => {
      if (page) c.set("page", { role: "decide", ended: page });
      const body = c.req.raw.body ? new Uint8Array(await c.req.arrayBuffer()) : null;
      return forward(c, body, { url: to, leaseLeftMs });
    })
    .onError((error) => {
      if (error instanceof RequestError) return errorResponse(error);
      throw error;
    });
  const server = Bun.serve<never>({
    hostname: "127.0.0.1",
    port: 0,
    development: false,
    fetch: (request, bun) => app.fetch(request, { server: bun, access: {} } as unknown as Env["Bindings"]),
  });
  closing.push(() => server.stop(true));
  return `http://127.0.0.1:${server.port}`;
}

/** As a node marks a request. */
const forwardedHeader = () => ({ "x-synthesis-forwarded": crypto.randomUUID() });

/** Waits until only so many timers are left: no probe is under way then. */
async function idle(clock: ManualClock, timers: number): Promise<void> {
  while (clock.timers !== timers) await setImmediate();
}

const members = () => identities(first, second);
const trusting = (...all: (NodeIdentity | undefined)[]) => folders.trust("second", identities(...all));
/** The status and the code of an error. */
const failure = async (response: Response) => [
  response.status,
  ((await response.json()) as { error: { code: string } }).error.code,
];

describe("a forwarded request", () => {
  test("arrives with its method, path, query, headers and body, and its answer comes back", async () => {
    const { url } = openOwner(members());
    const sender = openSender({ trust: trusting(first, second), to: url });
    const response = await fetch(`${sender}/v1/sessions/a%2Fb%20c?transcript=1&x=%C3%A4`, {
      method: "DELETE",
      body: '{"a":"ä"}',
      ...json,
    });
    expect(await response.json()).toMatchObject({
      method: "DELETE",
      url: `${url}/v1/sessions/a%2Fb%20c?transcript=1&x=%C3%A4`,
      headers: { "content-type": "application/json", "x-synthesis-forwarded": expect.any(String) },
      body: '{"a":"ä"}',
      access: { routes: ["chat", "control"], isInternal: false, isForwarded: true },
    });
    expect(response.headers.get("x-answered")).toBe("yes");
    expect(response.headers.get("keep-alive")).not.toBe("timeout=5");
    expect(Number(response.headers.get("content-length"))).toBeGreaterThan(100);
  });

  test("keeps the headers of a connection, and of its page, to itself", async () => {
    const { url } = openOwner(members());
    const sender = openSender({ trust: trusting(first, second), to: url });
    const response = await fetch(`${sender}/v1/models`, {
      headers: {
        connection: "x-private, not a name",
        "x-private": "1",
        te: "trailers",
        "proxy-authorization": "Basic x",
        origin: "https://app.example.com",
        "content-encoding": "gzip",
        "x-synthesis-forwarded": "0",
        authorization: "Bearer sk-1",
      },
    });
    const { headers } = (await response.json()) as { headers: Record<string, string> };
    expect(headers).toMatchObject({
      host: new URL(url).host,
      authorization: "Bearer sk-1",
      "x-synthesis-forwarded": expect.not.stringMatching("^0$"),
    });
    for (const name of ["x-private", "te", "proxy-authorization", "origin", "content-encoding"]) {
      expect([name, headers[name]]).toEqual([name, undefined]);
    }
  });

  test("goes to the node, whatever host its path seems to name", async () => {
    const { url } = openOwner(members());
    const sender = openSender({ trust: trusting(first, second), to: url });
    const response = await fetch(`${sender}//evil.example/v1/models`);
    const { url: requested } = (await response.json()) as { url: string };
    expect(requested).toStartWith(`${url}/`);
    expect(requested).toEndWith("/evil.example/v1/models");
  });

  test("of a page has the control key, which all nodes share, and ends when the page signs out", async () => {
    const signOut = new AbortController();
    const received = Promise.withResolvers<string | undefined>();
    const left = Promise.withResolvers<void>();
    const app = new Hono<Env>().all("*", (c) => {
      received.resolve(c.req.header("authorization"));
      c.req.raw.signal.addEventListener("abort", () => left.resolve());
      return endless(["row"]);
    });
    const { url } = openOwner(members(), app);
    const sender = openSender({ trust: trusting(first, second), to: url, page: signOut.signal });
    const response = await fetch(sender, { headers: { authorization: "Bearer token-of-the-page" } });
    expect(await received.promise).toBe(`Bearer ${CONTROL_KEY}`);
    signOut.abort();
    await left.promise;
    expect(await response.text().catch(() => "broken off")).not.toContain("end");
  });

  test("that the node refuses, or has moved on, gets the node's answer", async () => {
    const app = new Hono<Env>().all("*", (c) => c.json({ error: { code: "x" } }, 421, { "retry-after": "7" }));
    const { url } = openOwner(members(), app);
    const response = await fetch(openSender({ trust: trusting(first, second), to: url }));
    expect([response.status, response.headers.get("retry-after")]).toEqual([421, "7"]);
  });
});

/** A response that sends some lines and stays open. */
const endless = (lines: readonly string[]) =>
  new Response(
    new ReadableStream({
      start: (stream) => {
        for (const line of lines) stream.enqueue(new TextEncoder().encode(`data: ${line}\n\n`));
      },
    }),
    { headers: { "content-type": "text/event-stream" } },
  );

describe("a streamed answer", () => {
  test("passes piece by piece, and whole", async () => {
    const go = Promise.withResolvers<void>();
    const large = "x".repeat(2_000_000);
    const app = new Hono<Env>().all("*", () => {
      const pieces = async function* () {
        yield "data: one\n\n";
        await go.promise;
        for (let i = 0; i < 20; i += 1) yield large;
        yield "data: [DONE]\n\n";
      };
      return new Response(pieces() as never, { headers: { "content-type": "text/event-stream" } });
    });
    const { url } = openOwner(members(), app);
    const response = await fetch(openSender({ trust: trusting(first, second), to: url }), {
      method: "POST",
      body: "x",
    });
    const reader = (response.body as ReadableStream<Uint8Array>).getReader();
    const decoder = new TextDecoder();
    let text = decoder.decode((await reader.read()).value);
    expect(text).toBe("data: one\n\n");
    go.resolve();
    for (let piece = await reader.read(); !piece.done; piece = await reader.read()) text += decoder.decode(piece.value);
    expect(text.length).toBe(20 * large.length + "data: one\n\ndata: [DONE]\n\n".length);
  });

  test("is broken off for the client when the node breaks it off", async () => {
    const app = new Hono<Env>().all("*", () => endless(["one"]));
    const owner = openOwner(members(), app);
    const proxy = await proxyTo(owner.url);
    const response = await fetch(openSender({ trust: trusting(first, second), to: proxy.url }));
    const reader = (response.body as ReadableStream<Uint8Array>).getReader();
    expect((await reader.read()).done).toBe(false);
    proxy.cut();
    expect(
      await reader.read().then(
        ({ done }) => `ended: ${done}`,
        () => "broken off",
      ),
    ).toBe("broken off");
  });

  test("ends at the node when the client disconnects, before it has begun and after", async () => {
    for (const hasBegun of [false, true]) {
      const arrived = Promise.withResolvers<void>();
      const left = Promise.withResolvers<void>();
      const app = new Hono<Env>().all("*", (c) => {
        c.req.raw.signal.addEventListener("abort", () => left.resolve());
        arrived.resolve();
        return hasBegun ? endless(["one"]) : new Promise<Response>(() => {});
      });
      const { url } = openOwner(members(), app);
      const client = new AbortController();
      const answer = fetch(openSender({ trust: trusting(first, second), to: url }), { signal: client.signal }).then(
        (response) => response.body?.getReader().read(),
        () => "aborted",
      );
      await arrived.promise;
      if (hasBegun) await answer;
      client.abort();
      await left.promise;
      if (!hasBegun) expect(await answer).toBe("aborted");
    }
  });
});

/** A proxy to a node, which can break its connections off or stall them. */
async function proxyTo(url: string) {
  const proxy = await startTcpProxy({ host: "127.0.0.1", port: Number(new URL(url).port) });
  closing.unshift(() => proxy[Symbol.asyncDispose]());
  return Object.assign(proxy, { url: `https://127.0.0.1:${proxy.port}` });
}

describe("a connection that breaks off", () => {
  test("is made again when the request has not arrived", async () => {
    const proxy = await proxyTo(openOwner(members()).url);
    proxy.stall();
    const answer = fetch(openSender({ trust: trusting(first, second), to: proxy.url }));
    while (proxy.connections === 0) await setImmediate();
    proxy.cut();
    proxy.resume();
    expect((await answer).status).toBe(200);
  });

  test("costs a 503 when the request has arrived, which is served once", async () => {
    let served = 0;
    const arrived = Promise.withResolvers<void>();
    const app = new Hono<Env>().all("*", () => {
      served += 1;
      arrived.resolve();
      return new Promise<Response>(() => {});
    });
    const proxy = await proxyTo(openOwner(members(), app).url);
    const answer = fetch(openSender({ trust: trusting(first, second), to: proxy.url }));
    await arrived.promise;
    proxy.cut();
    proxy.resume();
    expect(await failure(await answer)).toEqual([503, "node_unavailable"]);
    expect(served).toBe(1);
  });
});

describe("a node that does not answer", () => {
  test("costs a 503 as soon as it refuses the connection, with what is left of its lease", async () => {
    const { url, listener } = openOwner(members());
    await listener.stop();
    const sender = openSender({ trust: trusting(first, second), to: url, leaseLeftMs: () => 12_345 });
    const response = await fetch(sender);
    expect(response.headers.get("retry-after")).toBe("13");
    expect(await failure(response)).toEqual([503, "node_unavailable"]);
  });

  /** A request to a node that accepts connections and is silent from then on, as one does whose server is stopped. */
  async function askSilentNode(clock: ManualClock, leaseLeftMs: () => number) {
    const proxy = await proxyTo(openOwner(members()).url);
    proxy.stall();
    const asked = Promise.withResolvers<void>();
    const sender = openSender({
      trust: trusting(first, second),
      to: proxy.url,
      leaseLeftMs: () => {
        asked.resolve();
        return leaseLeftMs();
      },
      clock,
    });
    const request = { isAnswered: false, answer: fetch(sender) };
    void request.answer.then(() => {
      request.isAnswered = true;
    });
    await asked.promise;
    return request;
  }

  test("costs a 503 when its lease ends, and not before", async () => {
    const clock = new ManualClock();
    let leaseEnd = clock.now() + 30 * SECOND;
    const request = await askSilentNode(clock, () => leaseEnd - clock.now());
    await clock.pass(25 * SECOND);
    // A renewal has been read.
    leaseEnd = clock.now() + 30 * SECOND;
    await clock.pass(29 * SECOND);
    expect(request.isAnswered).toBe(false);
    await clock.pass(SECOND);
    const response = await request.answer;
    expect(response.headers.get("retry-after")).toBe("1");
    expect(await failure(response)).toEqual([503, "node_unavailable"]);
    await idle(clock, 0);
  });

  test("costs a 503 after a minute when it is out of reach, although it renews its lease", async () => {
    const clock = new ManualClock();
    const request = await askSilentNode(clock, () => 50 * SECOND);
    await clock.pass(59 * SECOND);
    expect(request.isAnswered).toBe(false);
    await clock.pass(SECOND);
    const response = await request.answer;
    expect(response.headers.get("retry-after")).toBe("50");
    expect(await failure(response)).toEqual([503, "node_unavailable"]);
    await idle(clock, 0);
  });

  test("is waited for as long as it shows that it is alive", async () => {
    const clock = new ManualClock();
    const done = Promise.withResolvers<void>();
    const arrived = Promise.withResolvers<void>();
    let probes = 0;
    const app = new Hono<Env>()
      .get("/health", (c) => {
        probes += 1;
        return c.text("ok");
      })
      .all("*", async (c) => {
        arrived.resolve();
        await done.promise;
        return c.text("a long answer");
      });
    const { url } = openOwner(members(), app);
    const sender = openSender({ trust: trusting(first, second), to: url, leaseLeftMs: () => 60 * SECOND, clock });
    const answer = fetch(sender).then((response) => response.text());
    await arrived.promise;
    for (let minute = 0; minute < 15; minute += 1) {
      await clock.pass(20 * SECOND);
      await idle(clock, 1);
    }
    expect(probes).toBe(15);
    done.resolve();
    expect(await answer).toBe("a long answer");
    await idle(clock, 0);
  });

  test("breaks off a stream when its lease ends, and an answer that has ended leaves no timer", async () => {
    const clock = new ManualClock();
    const leaseEnd = clock.now() + 30 * SECOND;
    const app = new Hono<Env>().all("*", (c) => (c.req.path === "/short" ? c.text("short") : endless(["one"])));
    const { url } = openOwner(members(), app);
    const options = { trust: trusting(first, second), to: url, leaseLeftMs: () => leaseEnd - clock.now(), clock };
    const sender = openSender(options);
    expect(await (await fetch(`${sender}/short`)).text()).toBe("short");
    expect(clock.timers).toBe(0);
    const reader = ((await fetch(sender)).body as ReadableStream<Uint8Array>).getReader();
    await reader.read();
    await clock.pass(30 * SECOND);
    expect(
      await reader.read().then(
        () => "a piece",
        () => "broken off",
      ),
    ).toBe("broken off");
    await idle(clock, 0);
  });
});

describe("trust", () => {
  const get = (sender: string) => fetch(sender).then(async (response) => response.status);

  test("neither node believes a certificate that is not a member's", async () => {
    const { url } = openOwner(members());
    const stranger = new NodeTrust(folders.paths("rogue"), NODE_URL, [(first as NodeIdentity).certificate]);
    expect(await get(openSender({ trust: trusting(first, second), to: url }))).toBe(200);
    expect(await get(openSender({ trust: stranger, to: url }))).toBe(503);
    expect(await get(openSender({ trust: trusting(second, rogue), to: url }))).toBe(503);
    expect(await get(openSender({ trust: trusting(), to: url }))).toBe(503);
  });

  test("a machine without a certificate, or with one that a member has signed, opens nothing", async () => {
    const { url } = openOwner(members());
    const ca = (first as NodeIdentity).certificate;
    const status = (tls: object) =>
      fetch(url, { headers: forwardedHeader(), tls: { ca, ...tls } }).then(
        (response) => response.status,
        () => "refused",
      );
    const { certificate: cert, key } = second as NodeIdentity;
    expect(await status({ cert, key })).toBe(200);
    expect(await status({})).toBe("refused");
    expect(await status(await signedBy(second as NodeIdentity))).toBe("refused");
  });

  test("a certificate that was removed opens nothing any more, not even on a connection that is open", async () => {
    const { url, trust } = openOwner(members());
    const { certificate: cert, key } = second as NodeIdentity;
    const kept = () =>
      fetch(url, {
        headers: forwardedHeader(),
        tls: { cert, key, ca: (first as NodeIdentity).certificate },
      }).then(
        (response) => response.status,
        () => "refused",
      );
    const sender = openSender({ trust: trusting(first, second), to: url });
    expect([await get(sender), await kept(), await kept()]).toEqual([200, 200, 200]);
    trust.update([(first as NodeIdentity).certificate]);
    expect([await get(sender), await kept()]).toEqual([503, "refused"]);
    trust.update(members().map(({ certificate }) => certificate));
    expect([await get(sender), await kept()]).toEqual([200, 200]);
  });

  test("a node that no longer trusts another sends it nothing", async () => {
    const { url } = openOwner(members());
    const trust = trusting(first, second);
    const sender = openSender({ trust, to: url });
    expect(await get(sender)).toBe(200);
    trust.update([(second as NodeIdentity).certificate]);
    expect(await get(sender)).toBe(503);
  });

  test("a change of the members lets an answer end that is under way", async () => {
    const go = Promise.withResolvers<void>();
    const app = new Hono<Env>().all("*", () => {
      const pieces = async function* () {
        yield "one ";
        await go.promise;
        yield "two";
      };
      return new Response(pieces() as never);
    });
    const { url, trust, listener } = openOwner(members(), app);
    const response = await fetch(openSender({ trust: trusting(first, second), to: url }));
    const text = response.text();
    trust.update([first, second, rogue].map((one) => (one as NodeIdentity).certificate));
    const stopped = listener.stop();
    go.resolve();
    expect(await text).toBe("one two");
    await stopped;
  });

  test("the listener for nodes answers only what a node has sent on, and no hooks or plugins", async () => {
    const { url } = openOwner(members());
    const { certificate: cert, key } = second as NodeIdentity;
    const tls = { cert, key, ca: (first as NodeIdentity).certificate };
    expect(await failure(await fetch(`${url}/v1/models`, { tls }))).toEqual([404, "unknown_url"]);
    const hook = await fetch(`${url}/hooks`, {
      method: "POST",
      body: "{}",
      tls,
      headers: forwardedHeader(),
    });
    // The app of this test has answered, and not the handler of hooks.
    expect(await hook.json()).toMatchObject({ access: { isInternal: false } });
  });
});

/** A certificate that a member has signed with its own key, and the key of it. */
async function signedBy({ certificate, key }: NodeIdentity) {
  const x509 = await import("@peculiar/x509");
  const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
  const keys = await crypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  const der = x509.PemConverter.decodeFirst(key);
  const signed = await x509.X509CertificateGenerator.create({
    subject: "CN=friend",
    issuer: new x509.X509Certificate(certificate).subject,
    signingKey: await crypto.subtle.importKey("pkcs8", der, algorithm, false, ["sign"]),
    publicKey: keys.publicKey,
    signingAlgorithm: algorithm,
    notBefore: new Date(Date.now() - 60_000),
    notAfter: new Date(Date.now() + 600_000),
    extensions: [new x509.SubjectAlternativeNameExtension([{ type: "ip", value: "127.0.0.1" }])],
  });
  const exported = await crypto.subtle.exportKey("pkcs8", keys.privateKey);
  return {
    cert: `${signed.toString("pem")}\n${certificate}`,
    key: x509.PemConverter.encode(exported, x509.PemConverter.PrivateKeyTag),
  };
}
