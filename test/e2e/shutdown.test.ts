/** How a server ends: what happens to its turns, its processes and their folders. */
import { describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { text, toolUse } from "../support/mock-anthropic.ts";
import { descendants, waitForExit, withCommand } from "../support/processes.ts";
import { PROGRAM, startServer } from "../support/server.ts";
import { ask, events, next, postUntilSent, say } from "../support/sse.ts";
import { createWorld } from "../support/world.ts";

describe("SIGTERM", () => {
  test("lets the running turn finish, and refuses all others", async () => {
    await using world = await createWorld();
    const gate = Promise.withResolvers<void>();
    world.mock.on(/hold on/, async function* () {
      yield text("held\n");
      await gate.promise;
      yield text("and done");
    });
    const running = events(await world.server.post(ask("hold on")));
    const queued = world.server.post(ask("wait", { stream: false }));
    while (!JSON.stringify(await next(running)).includes("held"));
    const exited = world.server.stop();
    expect((await queued).status).toBe(503);
    const late = await world.server.post(ask("too late", { user: "other" }));
    expect(late.status).toBe(503);
    expect(await late.json()).toMatchObject({ error: { code: "shutting_down" } });
    gate.resolve();
    const rest = await Array.fromAsync(running);
    expect(JSON.stringify(rest)).toContain("and done");
    expect(rest.at(-1)).toBe("[DONE]");
    expect(await exited).toBe(0);
  });

  test("ends a turn that outlasts the drain time with an error, and every process with it", async () => {
    await using world = await createWorld({ env: { SYNTHESIS_DRAIN_MS: "200" } });
    world.mock.on(/sleep/, function* () {
      yield text("sleeping\n");
      yield toolUse("Bash", { command: "sleep 600", description: "Sleep" });
    });
    const stream = events(await world.server.post(ask("sleep")));
    let pids: number[] = [];
    while (withCommand(pids, /^sleep 600/).length === 0) {
      pids = descendants(world.server.pid);
      await Bun.sleep(20);
    }
    // The watchdog, claude, the plugin, and the shell command.
    expect(pids.length).toBeGreaterThanOrEqual(4);
    const exited = world.server.stop();
    const rest = await Array.fromAsync(stream);
    expect(rest.slice(-2)).toEqual([{ error: expect.objectContaining({ code: "shutting_down" }) }, "[DONE]"]);
    expect(await exited).toBe(0);
    await waitForExit(pids);
  });

  test("sent twice ends the server at once", async () => {
    await using world = await createWorld({ standIn: true, env: { SYNTHESIS_DRAIN_MS: "60000" } });
    await postUntilSent(world.server, ask("hang"));
    const pids = descendants(world.server.pid);
    void world.server.stop();
    await world.server.logged(/shutting down/);
    // One Ctrl-C may reach the server twice within a moment. Only a later signal counts as the second one.
    while ((await Promise.race([world.server.stop(), Bun.sleep(100)])) === undefined);
    expect(await world.server.exited).toBe(1);
    await waitForExit(pids);
  });
});

test("SIGINT ends every process of the server, too", async () => {
  await using world = await createWorld({ standIn: true, env: { SYNTHESIS_DRAIN_MS: "100" } });
  await postUntilSent(world.server, ask("hang"));
  const pids = descendants(world.server.pid);
  expect(await world.server.stop("SIGINT")).toBe(0);
  await waitForExit(pids);
});

test("only their owner can read the secrets in a process's folder, which the server removes at its end", async () => {
  await using world = await createWorld();
  await say(world.server, "hello");
  const run = join(world.claude.base, "state/run");
  const folder = join(run, readdirSync(run)[0] ?? "");
  // `latest` is claude's link to its debug log.
  const files = [...new Bun.Glob("**").scanSync({ cwd: folder, dot: true })].filter((file) => file !== "latest");
  // Claude writes its figures there a while after the answer.
  const isStatus = (file: string) => file.startsWith("status/");
  expect(files.filter((file) => !isStatus(file)).sort()).toEqual([
    ".synthesis",
    "debug.log",
    "plugin/.claude-plugin/plugin.json",
    "plugin/hooks/hooks.json",
    "settings.json",
    "system-prompt.md",
  ]);
  for (const file of files) {
    const mode = statSync(join(folder, file), { throwIfNoEntry: false })?.mode ?? 0o600;
    // The file into which the figures are written is renamed at the end.
    expect([file, mode & 0o777]).toEqual([file, 0o600]);
  }
  // Every user of the machine can read the arguments of a process.
  const hooks = readFileSync(join(folder, "plugin/hooks/hooks.json"), "utf8");
  const [, token = ""] = /Bearer ([\w-]{40,})/.exec(hooks) ?? [];
  expect(token).not.toBe("");
  expect(withCommand(descendants(world.server.pid), new RegExp(token))).toEqual([]);
  await world.server.stop();
  expect(existsSync(folder)).toBe(false);
});

test("a second server on the same state folder names the first, and a killed server leaves no lock behind", async () => {
  await using world = await createWorld({ standIn: true });
  const second = Bun.spawn([...PROGRAM], {
    env: { ...world.serverEnv, SYNTHESIS_BRIDGE_PORT: "0" },
    stderr: "pipe",
  });
  expect(await second.exited).toBe(2);
  const message = await second.stderr.text();
  for (const part of [world.server.pid, new URL(world.server.url).port]) expect(message).toContain(`${part}`);
  await world.server.stop("SIGKILL");
  const third = await startServer(world.serverEnv);
  expect(await third.stop()).toBe(0);
});
