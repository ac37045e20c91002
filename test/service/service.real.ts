/** `synthesis service` on a real user manager of systemd: install, restart, "reboot", upgrade, uninstall. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { lockHolder } from "../../src/store/lock.ts";
import { createClaudeHome } from "../support/claude-home.ts";
import { waitForExit } from "../support/processes.ts";
import { PROGRAM } from "../support/server.ts";
import { standInClaude } from "../support/world.ts";

const KEY = `sk-key-of-this-test-"only"$HOME%h\\x`;
const claude = createClaudeHome({ api: "http://127.0.0.1:9" });
// Everything that systemd or a shell could expand.
const state = join(claude.base, `state %h $HOME "q" 'a' & [b]`);
const bin = join(claude.base, "bin");
const unit = join(claude.home, ".config/systemd/user/synthesis.service");
const env: Record<string, string> = {
  ...claude.env,
  PATH: `${bin}:${process.env.PATH}`,
  XDG_RUNTIME_DIR: join(claude.base, "run"),
  SYNTHESIS_HOME: state,
  SYNTHESIS_WORKSPACE: claude.workspace,
  SYNTHESIS_ENGINE: "stream",
  SYNTHESIS_USE_API_KEY: "true",
  SYNTHESIS_API_KEY: KEY,
  SYNTHESIS_BRIDGE_PORT: "0",
};
let manager: Bun.Subprocess;

beforeAll(async () => {
  mkdirSync(bin);
  mkdirSync(env.XDG_RUNTIME_DIR as string, { mode: 0o700 });
  standInClaude(bin);
  await startManager();
});
afterAll(async () => {
  manager.kill("SIGKILL");
  await manager.exited;
  claude.remove();
});

test("the unit for a node of a fleet is valid", () => {
  const shipped = readFileSync(join(import.meta.dir, "../../deploy/synthesis@.service"), "utf8");
  const path = join(claude.base, "synthesis@main.service");
  // The program that it names is not installed here.
  writeFileSync(path, shipped.replace("/usr/local/bin/synthesis", "/bin/true"));
  expect(run(["systemd-analyze", "verify", "--man=no", path])).toMatchObject({ code: 0, output: "" });
});

test("installs, survives a reboot and an upgrade, loses no conversation, and leaves nothing behind", async () => {
  expect(await service("install")).toMatchObject({
    code: 0,
    output: expect.stringMatching(/loginctl enable-linger (?!unknown)\w/),
  });
  expect(readFileSync(unit, "utf8")).not.toContain("key-of-this-test");
  expect(statSync(join(state, "service.env")).mode & 0o777).toBe(0o600);
  expect(run(["systemd-analyze", "--user", "verify", unit])).toMatchObject({ code: 0, output: "" });
  expect(await say("one")).toBe("cold");

  // A reboot, as far as a user manager knows one.
  const before = await server();
  manager.kill("SIGTERM");
  await manager.exited;
  await waitForExit([before.pid]);
  await startManager();
  expect(await say("two")).toBe("resumed");

  // An upgrade: the unit of an older version is found, and renewed.
  writeFileSync(unit, readFileSync(unit, "utf8").replace(/"version":"[^"]+"/, '"version":"0.0.1"'));
  expect(await finding()).toStartWith("warning: installed by version 0.0.1");
  const old = await server();
  expect(await service("install")).toMatchObject({ code: 0 });
  expect(await finding()).toBe(`ok: ${unit}`);
  expect((await server()).pid).not.toBe(old.pid);
  expect(await say("three")).toBe("resumed");

  expect(await service("restart")).toMatchObject({ code: 0 });
  expect(await service("status")).toMatchObject({ code: 0, output: expect.stringContaining("active (running)") });

  renameSync(join(bin, "claude"), join(bin, "moved"));
  expect(await finding()).toBe(`failed: its Claude Code ${join(bin, "claude")} no longer exists`);
  renameSync(join(bin, "moved"), join(bin, "claude"));

  const installed = readFileSync(unit, "utf8");
  writeFileSync(unit, installed.replace(/"program":\["[^"]+"/, '"program":["/nowhere/synthesis"'));
  expect(await finding()).toBe("failed: its program /nowhere/synthesis no longer exists");
  writeFileSync(unit, installed);

  const last = await server();
  expect(await service("uninstall")).toMatchObject({ code: 0 });
  await waitForExit([last.pid]);
  expect(existsSync(unit)).toBe(false);
  expect(readdirSync(join(claude.home, ".config/systemd/user"), { recursive: true })).toEqual([]);
  expect(existsSync(join(state, "service.env"))).toBe(false);
  expect(existsSync(join(state, "synthesis.db"))).toBe(true);
  expect(await service("status")).toMatchObject({ code: 1 });
  expect(await service("uninstall")).toMatchObject({ code: 0 });
}, 150_000);

async function startManager(): Promise<void> {
  manager = Bun.spawn(["/lib/systemd/systemd", "--user"], { env, stdio: ["ignore", "ignore", "ignore"] });
  // It waits for the default target, to which the service belongs.
  while (run(["systemctl", "--user", "is-system-running", "--wait"]).code !== 0) {
    if (manager.exitCode !== null) throw new Error("systemd's user manager has exited.");
    await Bun.sleep(50);
  }
}

function run(command: string[]) {
  const { exitCode, stdout, stderr } = Bun.spawnSync(command, { env, stdin: "ignore" });
  return { code: exitCode, output: `${stdout}${stderr}` };
}

async function service(...args: string[]) {
  const child = Bun.spawn([...PROGRAM, "service", ...args], { env, stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  const [code, printed, errors] = await Promise.all([child.exited, child.stdout.text(), child.stderr.text()]);
  if (code !== 0) console.log(printed, errors);
  return { code, output: printed + errors };
}

/** What doctor reports about the service. */
async function finding(): Promise<string> {
  const child = Bun.spawn([...PROGRAM, "doctor", "--json"], { env, stdin: "ignore", stdout: "pipe", stderr: "ignore" });
  const { checks } = JSON.parse(await child.stdout.text()) as { checks: Record<"name" | "result" | "found", string>[] };
  const check = checks.find(({ name }) => name === "service");
  return `${check?.result}: ${check?.found}`;
}

/** The server of the state folder, once it listens. The test's timeout ends the wait. */
async function server(): Promise<{ pid: number; port: number }> {
  for (;;) {
    const holder = lockHolder(join(state, "server.lock"));
    if (holder?.port) return { pid: holder.pid, port: holder.port };
    await Bun.sleep(50);
  }
}

/** Sends a message in one conversation. @returns where its process came from */
async function say(content: string): Promise<string | null> {
  const { port } = await server();
  const response = await fetch(`http://127.0.0.1:${port}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json", authorization: `Bearer ${KEY}` },
    body: JSON.stringify({ user: "me", messages: [{ role: "user", content }] }),
  });
  expect(response.status, await response.clone().text()).toBe(200);
  return response.headers.get("x-synthesis-process");
}
