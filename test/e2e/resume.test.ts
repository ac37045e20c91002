/** On the real claude: a conversation is resumed after its process has exited, and the model sees all of it once. */
import { expect, test } from "bun:test";
import { join } from "node:path";
import { type ModelRequest, text } from "../support/mock-anthropic.ts";
import { claudesOf, waitForExit } from "../support/processes.ts";
import { startServer } from "../support/server.ts";
import { ask, next, say, texts } from "../support/sse.ts";
import { createWorld, type World } from "../support/world.ts";

/** Everything that the model was shown with this message. */
const shownWith = ({ mock }: World, content: string) =>
  (mock.requests.findLast(({ asked }) => asked.includes(`\n${content}\n`)) as ModelRequest).shown;
/** How often each of these lines is in what the model was shown. */
const times = (shown: string, ...lines: string[]) => lines.map((line) => shown.split(`\n${line}\n`).length - 1);
/** Empties every transcript, so that claude cannot read it. */
const emptyTranscripts = ({ claude }: World) =>
  Bun.$`truncate -s 0 ${claude.home}/.claude/projects/${{ raw: "*/*.jsonl" }}`.quiet();
/** The note of a conversation that starts again without its transcript, and the answer. */
const noteBefore = (answer: string) => new RegExp(`^\\[synthesis: [^\\]]*\\]\\n\\n${answer}$`);

test("resumes after the idle timeout", async () => {
  await using world = await createWorld({ env: { SYNTHESIS_IDLE_KILL_MS: "300" } });
  await say(world.server, "one");
  await world.server.logged(/claude exited/);
  expect(await say(world.server, "two")).toEqual({ answer: "You said: two", origin: "resumed" });
  const shown = shownWith(world, "two");
  expect(times(shown, "one", "two")).toEqual([1, 1]);
  expect(shown).toContain("You said: one");
});

test("resumes after a restart of the server in another workspace, and does not mistake a quoted dialog for a real one", async () => {
  await using world = await createWorld();
  const rule = "─".repeat(118);
  world.mock.on(/Quick safety check/, function* () {
    yield text(`${rule}\nAllow external CLAUDE.md file imports?\n\n❯ No, disable external imports\n\n`);
    yield text(`${rule}\n  Settings Error\n\n  ❯ 1. Fix with Claude\n    3. Continue without these settings\n`);
    yield text("Updates to Consumer Terms and Policies\nThis session belongs to another account\n❯ Exit\n");
  });
  const quoted = "Let's get started. Bypass Permissions mode. Not logged in · run /login. Quick safety check";
  expect((await say(world.server, quoted)).answer).toContain("Settings Error");
  await world.server.stop();

  const restarted = await startServer({
    ...world.serverEnv,
    SYNTHESIS_WORKSPACE: join(world.claude.base, "elsewhere"),
  });
  expect(await say(restarted, "two")).toEqual({ answer: "You said: two", origin: "resumed" });
  await restarted.stop();
  expect(times(shownWith(world, "two"), quoted, "two")).toEqual([1, 1]);
  const dialogs = [...restarted.log().matchAll(/"dialog":"([^"]*)"/g)].map(([, dialog]) => dialog);
  expect(dialogs.filter((dialog) => !/development channels|trust/.test(dialog ?? ""))).toEqual([]);
});

test("starts again, and says so, when claude's transcript is missing or unreadable", async () => {
  await using world = await createWorld({ env: { SYNTHESIS_IDLE_KILL_MS: "300" } });
  await say(world.server, "one");
  await world.server.logged(/claude exited/);
  await Bun.$`rm -r ${world.claude.home}/.claude/projects`.quiet();
  const second = await say(world.server, "two");
  expect([second.origin, second.answer]).toEqual(["cold", expect.stringMatching(noteBefore("You said: two"))]);

  await waitForExit(claudesOf(world.server.pid));
  await emptyTranscripts(world);
  const third = await say(world.server, "three");
  expect([third.origin, third.answer]).toEqual(["cold", expect.stringMatching(noteBefore("You said: three"))]);
  await say(world.server, "four");
  expect(shownWith(world, "four")).toContain("You said: three");
});

test("starts again without a note when the unreadable transcript had no answer yet", async () => {
  await using world = await createWorld();
  const gate = Promise.withResolvers<void>();
  world.mock.on(/long poem/, async function* () {
    yield text("begun\n");
    await gate.promise;
  });
  const poem = texts(await world.server.post(ask("long poem")));
  expect(await next(poem)).toBe("begun\n");
  const transcripts = () => [...new Bun.Glob("projects/*/*.jsonl").scanSync(`${world.claude.home}/.claude`)];
  while (transcripts().length === 0) await Bun.sleep(20);
  process.kill(claudesOf(world.server.pid)[0] as number, "SIGKILL");
  await Array.fromAsync(poem).catch(() => {});
  await emptyTranscripts(world);
  expect((await say(world.server, "two")).answer).toBe("You said: two");
  gate.resolve();
});

test("ten conversations share two processes, and each keeps its own memory", async () => {
  await using world = await createWorld({ env: { SYNTHESIS_MAX_PROCESSES: "2" } });
  const users = Array.from({ length: 10 }, (_, user) => `user${user}`);
  const first = await Promise.all(users.map((user) => say(world.server, `first of ${user}`, { user })));
  expect(first.map(({ answer }) => answer)).toEqual(users.map((user) => `You said: first of ${user}`));
  expect(claudesOf(world.server.pid).length).toBeLessThanOrEqual(2);
  const returning = users.slice(0, 4);
  const second = await Promise.all(returning.map((user) => say(world.server, `second of ${user}`, { user })));
  // At most two of them can still have their process.
  expect(second.filter(({ origin }) => origin === "resumed").length).toBeGreaterThanOrEqual(2);
  second.forEach(({ answer }, index) => {
    expect(answer).toBe(`You said: second of ${returning[index]}`);
    const shown = shownWith(world, `second of ${returning[index]}`);
    expect(times(shown, `first of ${returning[index]}`, `second of ${returning[index]}`)).toEqual([1, 1]);
    expect(shown.match(/\nfirst of /g)).toHaveLength(1);
  });
}, 120_000);
