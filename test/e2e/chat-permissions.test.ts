/** On the real claude: permission prompts in the chat, which only the sender of the message can answer. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { addKey } from "../../src/config/chat-keys.ts";
import { at, control } from "../support/control.ts";
import { text, toolUse } from "../support/mock-anthropic.ts";
import { answerText, ask } from "../support/sse.ts";
import { createWorld, type World } from "../support/world.ts";

let world: World;
beforeAll(async () => {
  world = await createWorld({ env: { SYNTHESIS_PERMISSION_TIMEOUT_MS: "15000" } });
  world.mock.on(/write (\S+)/, function* ({ asked, toolResults }) {
    const files = /write (\S+)/.exec(asked)?.[1]?.split("+") ?? [];
    if (toolResults.length === 0) {
      yield text("Let me see.\n");
      for (const file of files) yield toolUse("Write", { file_path: join(world.claude.workspace, file), content: "x" });
    } else yield text(toolResults.map(({ isError }) => (isError ? "refused" : "done")).join(" "));
  });
});
afterAll(() => world[Symbol.asyncDispose]());

const say = async (words: string, session: string, sender = "ann", more: Record<string, string> = {}) => {
  const headers = { "x-openclaw-session-key": session, "x-openclaw-sender-id": sender, ...more };
  return answerText(await world.server.post(ask(words), headers));
};
const idIn = (question: string) => /"yes (\w+)"/.exec(question)?.[1] ?? "";
const written = (file: string) => existsSync(join(world.claude.workspace, file));

test("a yes in a direct chat continues the turn", async () => {
  const question = await say("write yes.txt", "agent:main:telegram:direct:ann");
  expect(question).toMatch(/^Let me see\.\n\nMay I do this\? `Write: .*yes\.txt`\n.*Just "yes" or "no" will do/s);
  expect(written("yes.txt")).toBe(false);
  expect(await say("yes", "agent:main:telegram:direct:ann")).toBe("done");
  expect(written("yes.txt")).toBe(true);
  // The yes does not reach claude as a message.
  const answer = await say("hello", "agent:main:telegram:direct:ann");
  expect(answer).toBe("You said: hello");
  const { shown } = await world.mock.request(/\nhello\n/);
  expect(shown).not.toContain("\nyes\n");
});

test("in a group only a yes or no with the id of the prompt counts", async () => {
  const group = "agent:main:telegram:group:7";
  const question = await say("write no.txt", group);
  expect(question).not.toContain("Just");
  expect(await say(`no ${idIn(question)}`, group)).toBe("refused");
  await say("write bare.txt", group);
  // A message that is not an answer denies the prompt, and is the next turn.
  expect(await say("yes", group)).toBe("You said: yes");
  expect([written("no.txt"), written("bare.txt")]).toEqual([false, false]);
});

test("a yes of another sender denies the prompt", async () => {
  const question = await say("write mine.txt", "agent:main:telegram:direct:ann");
  expect(await say(`yes ${idIn(question)}`, "agent:main:telegram:direct:ann", "bob")).toContain("You said: yes");
  expect(written("mine.txt")).toBe(false);
});

test("a yes with another chat key does not reach the prompt", async () => {
  const direct = "agent:main:telegram:direct:ann";
  const key = addKey(join(world.claude.base, "state/keys.json"), "bob", {});
  const question = await say("write theirs.txt", direct);
  const other = { authorization: `Bearer ${key}` };
  expect(await say(`yes ${idIn(question)}`, direct, "ann", other)).toContain("You said: yes");
  expect(written("theirs.txt")).toBe(false);
  expect(await say("no", direct)).toBe("refused");
});

test("a prompt shows the start of a file, and how to see all of it", async () => {
  const page = `# Title\n\`\`\`\n${"text \u200b\n".repeat(2_000)}`;
  world.mock.on(/fill the page/, function* ({ toolResults }) {
    const file_path = join(world.claude.workspace, "page.md");
    if (toolResults.length === 0) yield toolUse("Write", { file_path, content: page });
    else yield text(toolResults[0]?.isError ? "refused" : "done");
  });
  const session = "agent:main:telegram:direct:ann";
  const question = await say("fill the page", session);
  const sha = new Bun.CryptoHasher("sha256").update(page).digest("hex").slice(0, 16);
  expect(question).toMatch(/`Write: .*page\.md`\n````\n# Title\n```\ntext ⟨U\+200B⟩\n/);
  for (const part of [`${Buffer.byteLength(page)} bytes`, sha, "synthesis permissions show"]) {
    expect(question).toContain(part);
  }
  expect(question.length).toBeLessThan(3_600);
  expect(await say("yes", session)).toBe("done");
  expect(await Bun.file(join(world.claude.workspace, "page.md")).text()).toBe(page);
});

test("the refusal of a file that Claude Code protects is explained in the answer", async () => {
  const file = join(world.claude.workspace, ".git/hooks/pre-commit");
  world.mock.on(/change the hook/, function* ({ toolResults }) {
    if (toolResults.length === 0) yield toolUse("Bash", { command: `echo x > ${file}` });
    else yield text(toolResults[0]?.isError ? "refused" : "done");
  });
  const answer = await answerText(await world.server.post(ask("change the hook")));
  expect(answer).toStartWith("[synthesis: ");
  expect(answer).toContain(`Bash: echo x > ${file}`);
  expect(answer).toEndWith("]\n\nrefused");
});

test("two prompts of one turn come one after the other", async () => {
  const first = await say("write one.txt+two.txt", "agent:main:main");
  const second = await say(`yes ${idIn(first)}`, "agent:main:main");
  expect(second).toContain("two.txt");
  expect(await say(`no ${idIn(second)}`, "agent:main:main")).toBe("done refused");
  expect([written("one.txt"), written("two.txt")]).toEqual([true, false]);
});

test("a prompt ends when its turn is interrupted, and a later yes does nothing", async () => {
  const session = "agent:main:telegram:direct:ann";
  const question = await say("write stopped.txt", session);
  expect((await control(world, `${at(session)}/interrupt`, { method: "POST" })).status).toBe(200);
  await world.server.logged(/permission .*deny.*gone.*direct:ann/);
  expect(await say(`yes ${idIn(question)}`, session)).toStartWith("You said: yes");
  expect(written("stopped.txt")).toBe(false);
});

test("a prompt does not keep the server from shutting down", async () => {
  const ending = await createWorld({ env: { SYNTHESIS_DRAIN_MS: "60000" } });
  const file = join(ending.claude.workspace, "x");
  ending.mock.on(/write/, () => [toolUse("Write", { file_path: file, content: "x" })]);
  const headers = { "x-openclaw-session-key": "agent:main:main", "x-openclaw-sender-id": "ann" };
  await answerText(await ending.server.post(ask("write"), headers));
  // The drain time is far longer than this test's timeout.
  expect(await ending.server.stop()).toBe(0);
  expect(existsSync(file)).toBe(false);
  await ending[Symbol.asyncDispose]();
});

test("a prompt without an answer in time is denied, and the next message is answered", async () => {
  await using hasty = await createWorld({ env: { SYNTHESIS_PERMISSION_TIMEOUT_MS: "300" } });
  hasty.mock.on(/write/, function* ({ toolResults }) {
    if (toolResults.length === 0)
      yield toolUse("Write", { file_path: join(hasty.claude.workspace, "x"), content: "x" });
    else yield text("never mind");
  });
  const headers = { "x-openclaw-session-key": "agent:main:late", "x-openclaw-sender-id": "ann" };
  const post = async (words: string) => answerText(await hasty.server.post(ask(words), headers));
  expect(await post("write")).toContain("May I do this?");
  await hasty.server.logged(/permission .*deny.*timeout/);
  expect(await post("hello")).toBe("You said: hello");
  expect(existsSync(join(hasty.claude.workspace, "x"))).toBe(false);
});

test.each([[null], [""], [" "], ["an\u202en"]])(
  "a message without a known sender (%p) causes no prompt",
  async (sender) => {
    const headers = sender === null ? {} : { "x-openclaw-sender-id": encodeURIComponent(sender) };
    const answer = await answerText(await world.server.post(ask("write unknown.txt"), headers));
    expect(answer).toMatch(/\[synthesis: .*\]\n\nrefused$/s);
  },
);
