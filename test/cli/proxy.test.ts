/** Requests of this program to its own server do not go through the user's proxy, which would see the keys. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { createClaudeHome } from "../support/claude-home.ts";
import { startMockAnthropic, text } from "../support/mock-anthropic.ts";
import { PROGRAM, REAL_CLAUDE } from "../support/server.ts";
import { ask, texts } from "../support/sse.ts";
import { createWorld, type World } from "../support/world.ts";

const seen: string[] = [];
const proxy = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  fetch: (request) => {
    seen.push(`${request.method} ${request.url} ${request.headers.get("authorization") ?? ""}`);
    return new Response("from the proxy", { status: 502 });
  },
});
let world: World;
beforeAll(async () => {
  world = await createWorld({ standIn: true });
  await Array.fromAsync(texts(await world.server.post(ask("hello", { user: "me" }))));
});
afterAll(async () => {
  await world[Symbol.asyncDispose]();
  await proxy.stop(true);
});

/** All at once: a request that obeys any of them goes through the proxy. */
const proxies = { HTTP_PROXY: proxy.url.origin, http_proxy: proxy.url.origin, ALL_PROXY: proxy.url.origin };
const others = { NO_PROXY: "example.com" };
const empty = { NO_PROXY: "", no_proxy: "" };

async function run(args: string[], env: Record<string, string>) {
  const child = Bun.spawn([...PROGRAM, ...args], { env, stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  const [out, err] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  return { out, err };
}

test.each([{}, others, empty])("no request of the commands goes through the proxy, with %j", async (exceptions) => {
  const env = { ...world.serverEnv, ...proxies, ...exceptions };
  const session = "user:me";
  expect((await run(["sessions", "list"], env)).out).toContain(session);
  expect((await run(["sessions", "show", session], env)).out).toContain(session);
  expect((await run(["permissions", "list"], env)).err).toBe("");
  expect((await run(["doctor"], env)).out).toContain("✓ running configuration: ");
  // With another state folder the doctor finds the port in use, and requests the health of its server.
  const port = new URL(world.server.url).port;
  const elsewhere = { ...env, SYNTHESIS_HOME: join(world.claude.base, "other"), SYNTHESIS_BRIDGE_PORT: port };
  expect((await run(["doctor"], elsewhere)).out).toContain("✗ port: another synthesis");
  expect(seen).toEqual([]);
});

test.each([others, empty])(
  "no request of the smoke test, its hooks and its plugin goes through the proxy, with %j",
  async (exceptions) => {
    const mock = startMockAnthropic();
    mock.on(/one word/, function* () {
      yield text("ready");
    });
    const claude = createClaudeHome({ api: mock.url });
    const { out, err } = await run(["doctor", "--live"], {
      ...claude.env,
      SYNTHESIS_HOME: join(claude.base, "state"),
      SYNTHESIS_WORKSPACE: claude.workspace,
      SYNTHESIS_CLAUDE_BIN: REAL_CLAUDE,
      SYNTHESIS_ENGINE: "interactive",
      SYNTHESIS_BRIDGE_PORT: "0",
      ...proxies,
      ...exceptions,
    });
    await mock.stop();
    claude.remove();
    expect(out, err).toContain("Claude Code answered");
    // Claude Code's own requests may go through it, such as the one that checks its API, which is on 127.0.0.1 here.
    const ours = seen.filter((request) => request.includes("127.0.0.1") && !request.includes("/api/hello"));
    expect(ours).toEqual([]);
  },
);
