/** Users write over the Telegram channel of the real OpenClaw, and answer permission prompts of the real claude. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { text, toolUse } from "../support/mock-anthropic.ts";
import { startTelegram, type Telegram } from "../support/telegram.ts";
import { createRig, type Rig } from "./rig.ts";

const ann = { id: 1001, first_name: "Ann" };
const bob = { id: 1002, first_name: "Bob" };
const GROUP = -1002003;
const NEW_GROUP = -1002004;

let telegram: Telegram;
let rig: Rig;
beforeAll(async () => {
  telegram = startTelegram();
  rig = await createRig("phone", {
    plugin: true,
    // Only the owner may use automations.
    config: { channels: { telegram: telegram.config }, commands: { ownerAllowFrom: [`${ann.id}`] } },
    // After the first turn of a session OpenClaw asks the model what to remember.
    compaction: { memoryFlush: { enabled: true, forceFlushTranscriptBytes: "1b" } },
  });
  rig.mock.on(/write \S+\.txt/, function* ({ asked, toolResults }) {
    const file = /write (\S+\.txt)/.exec(asked)?.[1] ?? "";
    if (toolResults.length === 0) yield toolUse("Write", { file_path: join(rig.main, file), content: "x" });
    else yield text(toolResults[0]?.isError ? "It was refused.\n" : "It is written.\n");
  });
  rig.mock.on(/Pre-compaction memory flush/, function* ({ asked, toolResults }) {
    const path = /memory\/\d{4}-\d\d-\d\d\.md/.exec(asked)?.[0] ?? "";
    if (toolResults.length > 0) yield text("NO_REPLY\n");
    else yield toolUse("mcp__plugin_synthesis_chat__write", { path, content: "Ann likes tea.\n" });
  });
  rig.mock.on(/(\n|UTC\] )yes( \w+)?\s*<\/channel>/, () => [text("Yes to what?\n")]);
}, 300_000);
afterAll(async () => {
  await rig[Symbol.asyncDispose]();
  await telegram[Symbol.asyncDispose]();
}, 60_000);

const written = (file: string) => existsSync(join(rig.main, file));
const idIn = (question: string) => /"yes (\w+)"/.exec(question)?.[1] ?? "";
const latest = async () => {
  const key = readFileSync(join(rig.claude.base, "state/control.key"), "utf8").trim();
  const response = await fetch(`${rig.url()}/v1/permissions`, { headers: { authorization: `Bearer ${key}` } });
  return ((await response.json()) as { latest: object[] }).latest[0];
};

test("a plain yes in a direct chat allows the prompt, and its sender is recorded", async () => {
  telegram.write("write yes.txt", ann);
  const { text: question } = await telegram.next(ann.id);
  expect(question).toContain("May I do this? <code>Write: ");
  expect(question).toContain('(Just "yes" or "no" will do.)');
  expect(written("yes.txt")).toBe(false);
  telegram.write("Yes", ann);
  expect((await telegram.next(ann.id)).text).toBe("It is written.");
  expect(written("yes.txt")).toBe(true);
  expect(await latest()).toMatchObject({
    tool: "Write",
    sender: "1001",
    verdict: "allow",
    way: "chat",
    decided_by: "1001",
  });
});

test("a yes that replies to the prompt in Telegram allows it", async () => {
  telegram.write("write reply.txt", ann);
  const { message } = await telegram.next(ann.id);
  telegram.write("yes", ann, ann.id, message);
  expect((await telegram.next(ann.id)).text).toBe("It is written.");
  expect(written("reply.txt")).toBe(true);
});

test("a yes over another channel of the same session denies the prompt", async () => {
  telegram.write("write forged.txt", ann);
  const { text: question } = await telegram.next(ann.id);
  expect(await rig.openclaw.say(`yes ${idIn(question)}`, "agent:main:main")).toBe("Yes to what?");
  expect(written("forged.txt")).toBe(false);
  expect(await latest()).toMatchObject({ sender: "1001", verdict: "deny", way: "spoke", decided_by: null });
});

test("in a group only the sender can answer, with the id of the prompt", async () => {
  telegram.write("write group.txt", ann, GROUP);
  const { text: first } = await telegram.next(GROUP);
  expect(first).not.toContain("Just");
  telegram.write(`yes ${idIn(first)}`, bob, GROUP);
  expect((await telegram.next(GROUP)).text).toBe("Yes to what?");
  expect(written("group.txt")).toBe(false);
  expect(await latest()).toMatchObject({ sender: "1001", verdict: "deny", way: "spoke", decided_by: "1002" });

  telegram.write("write group.txt", ann, GROUP);
  const { text: second } = await telegram.next(GROUP);
  telegram.write(`yes ${idIn(second)}`, ann, GROUP);
  expect((await telegram.next(GROUP)).text).toBe("It is written.");
  expect(written("group.txt")).toBe(true);
});

test("claude can use OpenClaw's tools for sessions, automations, memory and messages", async () => {
  let results: readonly string[] = [];
  rig.mock.on(/use everything/, function* ({ toolResults }) {
    const call = (id: string, args: object) => toolUse("mcp__plugin_synthesis_chat__tool_call", { id, args });
    if (toolResults.length === 0) {
      yield call("sessions_list", {});
      yield call("automations", { action: "list" });
      yield call("memory_search", { query: "tea" });
      yield call("message", { action: "send", channel: "telegram", target: `${bob.id}`, message: "Ann greets you." });
    } else {
      results = toolResults.map(({ content }) => content);
      yield text("All is done.\n");
    }
  });
  telegram.write("use everything", ann);
  expect((await telegram.next(ann.id)).text).toBe("All is done.");
  expect((await telegram.next(bob.id)).text).toBe("Ann greets you.");
  const shown = results.join("\n");
  expect(shown).toContain("agent:main:main");
  for (const tool of ["sessions_list", "automations", "memory_search", "message"]) {
    expect(shown).toContain(`"name": "${tool}"`);
  }
});

test("the memory flush before a compaction uses OpenClaw's tools and belongs to no conversation", async () => {
  // OpenClaw starts it after the turn when no other message is waiting.
  telegram.write("I like tea", ann, NEW_GROUP);
  await telegram.next(NEW_GROUP);
  const { body } = await rig.recorder.request(/Ann likes tea[\s\S]*"role":"tool"/);
  const path = /memory\/\d{4}-\d\d-\d\d\.md/.exec(JSON.stringify(body))?.[0] ?? "";
  expect(readFileSync(join(rig.main, path), "utf8")).toContain("Ann likes tea.");
  telegram.write("with milk", ann, NEW_GROUP);
  expect((await rig.mock.request(/with milk/)).shown).not.toContain("memory flush");
});
