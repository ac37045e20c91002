/** Nothing stays behind: processes, folders, secrets. */
import { afterEach, describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { text, toolUse } from "../support/mock-anthropic.ts";
import { descendants, waitForExit, withCommand } from "../support/processes.ts";
import { ask, next, texts } from "../support/sse.ts";
import { createWorld, type World } from "../support/world.ts";

let world: World;
afterEach(() => world[Symbol.asyncDispose]());

/** A world in the middle of a turn, with a shell command running inside claude. */
async function busyWorld(): Promise<{ pids: number[]; answer: AsyncGenerator<string> }> {
  world = await createWorld({ env: { SYNTHESIS_DRAIN_MS: "100" } });
  world.mock.on(/sleep/, function* () {
    yield text("sleeping\n");
    yield toolUse("Bash", { command: "sleep 600", description: "Sleep" });
  });
  // Held on to by the test: an answer that nobody holds is collected, and its client leaves.
  const answer = texts(await world.server.post(ask("sleep")));
  await next(answer);
  // server, claude, plugin, and the shell with its sleep
  let pids: number[] = [];
  while (!pids.some((pid) => withCommand([pid], /^sleep 600/).length > 0)) {
    pids = descendants(world.server.pid);
    await Bun.sleep(20);
  }
  expect(pids.length).toBeGreaterThanOrEqual(4);
  return { pids, answer };
}

describe("when the server ends, so does everything it started", () => {
  test.each(["SIGTERM", "SIGINT", "SIGKILL"] as const)("by %s", async (signal) => {
    const { pids, answer } = await busyWorld();
    await world.server.stop(signal);
    await waitForExit(pids);
    await answer.return(undefined).catch(() => {});
  });
});

test("a process's folder holds its secrets for its owner only, and goes with it", async () => {
  world = await createWorld();
  await Array.fromAsync(texts(await world.server.post(ask("hello"))));
  const run = join(world.claude.base, "state/run");
  const [folder] = readdirSync(run);
  // `latest` is a link of claude's to the log.
  const files = [...new Bun.Glob("**").scanSync({ cwd: join(run, folder ?? ""), dot: true })].filter(
    (file) => file !== "latest",
  );
  expect(files.sort()).toEqual([
    ".synthesis",
    "debug.log",
    "plugin/.claude-plugin/plugin.json",
    "plugin/hooks/hooks.json",
    "settings.json",
    "system-prompt.md",
  ]);
  for (const file of files) expect(statSync(join(run, folder ?? "", file)).mode & 0o777).toBe(0o600);
  // No token among the arguments, which every user of the machine can read.
  const hooks = readFileSync(join(run, folder ?? "", "plugin/hooks/hooks.json"), "utf8");
  const [, token = ""] = /Bearer ([\w-]{40,})/.exec(hooks) ?? [];
  expect(token).not.toBe("");
  for (const pid of descendants(world.server.pid)) {
    expect(withCommand([pid], new RegExp(token))).toEqual([]);
  }
  await world.server.stop();
  expect(existsSync(join(run, folder ?? ""))).toBe(false);
});
