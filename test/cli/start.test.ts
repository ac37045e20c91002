/** Starting a server: what it requires, what it repairs, and what it ignores. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { PROGRAM, startServer } from "../support/server.ts";

let base: string;
let env: Record<string, string>;
beforeEach(() => {
  base = realpathSync(mkdtempSync(join(tmpdir(), "synthesis-test-")));
  mkdirSync(join(base, "state"), { mode: 0o700 });
  env = {
    PATH: "/usr/bin:/bin",
    HOME: base,
    SYNTHESIS_HOME: join(base, "state"),
    SYNTHESIS_CLAUDE_BIN: "/nowhere/claude",
    SYNTHESIS_BRIDGE_PORT: "0",
  };
});
afterEach(() => rmSync(base, { recursive: true, force: true }));

async function run(args: string[], more: Record<string, string> = {}) {
  const child = Bun.spawn([...PROGRAM, ...args], { env: { ...env, ...more }, stdout: "pipe", stderr: "pipe" });
  const [out, err, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  return { out, err, code };
}

const OTHER_USER = 12_345;

/** Writes a file with valid content into the state folder. */
const put = (name: string) =>
  writeFileSync(join(base, "state", name), { "config.json": "{}", "synthesis.db": "" }[name] ?? "k".repeat(32), {
    mode: 0o600,
  });

test("a port that is in use is reported, and no other command finds a running server afterwards", async () => {
  const other = await startServer({ ...env, SYNTHESIS_HOME: join(base, "other") });
  const SYNTHESIS_BRIDGE_PORT = new URL(other.url).port;
  expect(await run(["serve"], { SYNTHESIS_BRIDGE_PORT })).toMatchObject({
    code: 2,
    err: expect.stringMatching(/^Port \d+ on 127\.0\.0\.1 is already in use[^\n]*\n$/),
  });
  expect(existsSync(join(base, "state/server.lock.json"))).toBe(false);
  expect((await run(["doctor"], { SYNTHESIS_BRIDGE_PORT })).out).toContain("✗ port: another synthesis");
  await other.stop();
});

test("a lock file whose server has exited names no running server, even when its pid is used again", async () => {
  const first = await startServer(env);
  await first.stop();
  writeFileSync(join(base, "state/server.lock.json"), JSON.stringify({ pid: process.pid, port: 1 }));
  expect((await run(["doctor"])).out).toContain("no server uses this state folder");
  expect(await run(["sessions", "list"])).toMatchObject({ code: 1, err: expect.stringContaining("No server runs in") });
});

test("a start takes the permissions of other users away", async () => {
  const first = await startServer(env);
  await first.stop();
  const mode = (path: string) => statSync(path).mode & 0o777;
  const database = join(base, "state/synthesis.db");
  Bun.spawnSync(["chmod", "777", join(base, "state")]);
  Bun.spawnSync(["chmod", "644", database]);
  const second = await startServer(env);
  expect([mode(join(base, "state")), mode(database), mode(`${database}-wal`)]).toEqual([0o700, 0o600, 0o600]);
  await second.stop();
});

test("relative entries of PATH are ignored, so that no program in the current folder is started", async () => {
  for (const name of ["claude", "ps", "openclaw"]) {
    writeFileSync(join(base, name), `#!/bin/sh\ntouch ${base}/ran\n`, { mode: 0o755 });
  }
  for (const PATH of [".:/usr/bin:/bin", ":/usr/bin:/bin", "/usr/bin:/bin:", `../${basename(base)}:/usr/bin:/bin`]) {
    const child = Bun.spawn([...PROGRAM, "doctor"], {
      env: { ...env, PATH, SYNTHESIS_CLAUDE_BIN: "claude" },
      cwd: base,
      stdout: "pipe",
    });
    expect(await child.stdout.text()).toContain("claude: ");
  }
  expect(existsSync(join(base, "ran"))).toBe(false);
});

test("the command in the error message repairs a key that other users can write", async () => {
  put("chat.key");
  chmodSync(join(base, "state/chat.key"), 0o666);
  const { err } = await run(["serve"]);
  const command = /`(chmod go-w [^`]+)`/.exec(err)?.[1] ?? "";
  expect(Bun.spawnSync(["/bin/sh", "-c", command]).exitCode).toBe(0);
  const server = await startServer(env);
  expect(server.key).toBe("k".repeat(32));
  await server.stop();
});

// Only root can give files away.
test.if(process.getuid?.() === 0)(
  "a state folder on a mounted volume works when another owner is allowed",
  async () => {
    for (const name of ["chat.key", "config.json"]) put(name);
    for (const path of ["", "chat.key", "config.json"]) {
      chownSync(join(base, "state", path), OTHER_USER, OTHER_USER);
    }
    const server = await startServer({ ...env, SYNTHESIS_ALLOW_FOREIGN_HOME: "true" });
    expect(server.key).toBe("k".repeat(32));
    await server.stop();
    // The owner of the volume is trusted, but no third user.
    chownSync(join(base, "state/config.json"), OTHER_USER + 1, OTHER_USER);
    const serve = await run(["serve"], { SYNTHESIS_ALLOW_FOREIGN_HOME: "true" });
    expect([serve.code, serve.err]).toEqual([2, expect.stringContaining("belongs to another user")]);
  },
);

test("doctor gives up on a Claude Code that does not answer, even when its child holds its output open", async () => {
  const hangs = join(base, "hangs");
  writeFileSync(hangs, "#!/bin/sh\nsleep 1000\n", { mode: 0o755 });
  expect((await run(["doctor"], { SYNTHESIS_CLAUDE_BIN: hangs })).out).toContain("does not answer");
});

test("an unknown command is reported with the most similar command, or with all of them", async () => {
  expect(await run(["serv"])).toMatchObject({ code: 1, err: "There is no command serv. Did you mean serve?\n" });
  expect(await run(["frobnicate"])).toMatchObject({
    code: 1,
    err: expect.stringMatching(/^There is no command frobnicate\. The commands are: .*doctor.*serve/),
  });
});
