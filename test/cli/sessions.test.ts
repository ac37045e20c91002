/** `synthesis sessions` with and without a running server. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { PROGRAM } from "../support/server.ts";
import { ask } from "../support/sse.ts";
import { createWorld, type World } from "../support/world.ts";

let world: World;
beforeEach(async () => {
  world = await createWorld({ standIn: true });
  for (const user of ["one", "two"]) await say("a secret", user);
});
afterEach(() => world[Symbol.asyncDispose]());

const say = async (content: string, user: string) => {
  const response = await world.server.post(ask(content, { user, stream: false }));
  await response.text();
  return response.headers.get("x-synthesis-process");
};

/** Runs `synthesis sessions …`. */
async function sessions(...args: string[]) {
  const child = Bun.spawn([...PROGRAM, "sessions", ...args], {
    env: { ...world.claude.env, SYNTHESIS_HOME: join(world.claude.base, "state") },
    stdout: "pipe",
    stderr: "pipe",
  });
  const [out, err, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  return { out, err, code };
}

test("list prints every session, the one used last first, as a table or as JSON", async () => {
  const { out, code } = await sessions("list");
  const lines = out.trimEnd().split("\n");
  expect(lines.map((line) => line.split(/ {2,}/).slice(0, 4))).toEqual([
    ["SESSION", "STATE", "WAITING", "TURNS"],
    ["user:two", "idle", "0", "1"],
    ["user:one", "idle", "0", "1"],
  ]);
  expect(code).toBe(0);
  expect(JSON.parse((await sessions("list", "--json")).out)).toMatchObject([{ key: "user:two" }, { key: "user:one" }]);
});

test("show prints a session that is named by the end of its key, and no message of it", async () => {
  const { out } = await sessions("show", "one");
  for (const line of [/^key: +user:one$/m, /^state: +idle$/m, /^LAST TURNS.*$\n.* done /m]) expect(out).toMatch(line);
  const json = await sessions("show", "user:o", "--json");
  expect(JSON.parse(json.out)).toMatchObject({ key: "user:one", last_turns: [{ state: "done" }] });
  expect(out + json.out).not.toContain("secret");
});

test("reports a name that matches no session, or several", async () => {
  expect(await sessions("show", "three")).toMatchObject({ code: 1, err: expect.stringContaining("no session three") });
  expect(await sessions("rm", "user")).toEqual({
    code: 1,
    out: "",
    err: expect.stringMatching(/More than one session.*\n {2}user:two\n {2}user:one\n/),
  });
});

test("interrupt, reset and rm change a session", async () => {
  const stopped = world.server.post(ask("hang", { user: "one" }));
  while (!(await sessions("list")).out.match(/user:one.*busy/)) await Bun.sleep(20);
  expect(await sessions("interrupt", "one")).toMatchObject({ code: 0, out: "user:one: interrupted\n" });
  expect(await (await stopped).json()).toMatchObject({ error: { code: "turn_interrupted" } });
  expect(await sessions("interrupt", "one")).toMatchObject({
    code: 1,
    err: expect.stringContaining("nothing to interrupt"),
  });
  expect(await say("hello", "one")).toBe("warm");
  expect(await sessions("reset", "one")).toMatchObject({ code: 0, out: expect.stringContaining("reset") });
  expect(await say("hello", "one")).toBe("cold");
  expect((await sessions("show", "one")).out).toContain("PAST CLAUDE SESSIONS");
  const transcripts = () => readdirSync(join(world.claude.home, ".claude/projects/stand-in")).length;
  expect(transcripts()).toBe(3);
  expect(await sessions("rm", "two")).toMatchObject({ code: 0, out: "user:two: deleted\n" });
  expect(transcripts()).toBe(3);
  expect(await sessions("rm", "one", "--transcript")).toMatchObject({ code: 0 });
  expect(transcripts()).toBe(1);
  expect((await sessions("list")).out).toContain("no sessions yet");
});

test("says what to do when no server runs", async () => {
  await world.server.stop("SIGKILL");
  for (const home of [[], ["--home", join(world.claude.base, "nowhere")]]) {
    const { err, code } = await sessions("list", ...home);
    expect([code, err]).toEqual([1, expect.stringMatching(/No server runs in .* Start one with `synthesis serve`/)]);
  }
});

test("an error message from the server cannot control the terminal", async () => {
  const { err, code } = await sessions("show", "\x1b]0;x\x07\r\u202eno");
  expect([err, code]).toEqual([
    "There is no session ⟨U+001B⟩]0;x⟨U+0007⟩⟨U+000D⟩⟨U+202E⟩no. `synthesis sessions list` shows all sessions.\n",
    1,
  ]);
});
