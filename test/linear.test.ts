/**
 * No function that reads data from a client, from Claude Code or from a plugin may take quadratic time: one hostile
 * message would stop every conversation. Each function gets its worst input, and then one of twice the length.
 */
import { expect, test } from "bun:test";
import { readPart } from "../src/api/openai-chat/content-parts.ts";
import { base64In, decodeBase64 } from "../src/api/openai-chat/data-url.ts";
import { chatRequest } from "../src/api/openai-chat/request.ts";
import { findSideRequestForm } from "../src/api/openai-chat/side-requests.ts";
import { withToolImages } from "../src/api/openai-chat/tool-images.ts";
import { toolsOf } from "../src/api/openai-chat/tools.ts";
import { contextIn } from "../src/api/openclaw/context-message.ts";
import { quotations, saysAborted, splitMessage } from "../src/api/openclaw/retry.ts";
import { splitRuntimeLine } from "../src/api/openclaw/runtime-line.ts";
import { splitSystemPrompt } from "../src/api/openclaw/system-prompt.ts";
import { parseUserMessage } from "../src/api/openclaw/user-message.ts";
import { describeToolUse, spellOutToolUse } from "../src/claude/tool-use.ts";
import { chooseBranch } from "../src/conversation/branches.ts";
import { matchHistory } from "../src/conversation/history-match.ts";
import { historyText } from "../src/conversation/history-text.ts";
import { isAnswerTo } from "../src/conversation/tool-results.ts";
import { undelivered } from "../src/conversation/undelivered.ts";
import { clientCallId } from "../src/core/tools.ts";
import { ClientExchange } from "../src/intake/exchange.ts";
import { isFileOrShellTool } from "../src/intake/file-and-shell-tools.ts";
import { answerFingerprint, messageFingerprint } from "../src/intake/fingerprint.ts";
import type { NewMessage } from "../src/intake/new-message.ts";
import { catalogueOf } from "../src/intake/tool-catalogue.ts";
import { claudeSchema } from "../src/json-schema/claude-schema.ts";
import { readVerdict } from "../src/permissions/chat-answers.ts";
import { unfenced } from "../src/turn/code-fence.ts";
import { type Answer, appendDelta, emptyAnswer } from "../src/turn/text-assembler.ts";
import { channelMessageId } from "../src/wire/hooks.ts";

const MEGABYTE = 1024 * 1024;
const filled = (length: number, ...pieces: string[]) =>
  pieces.join("").repeat(Math.ceil(length / pieces.join("").length));
const user = (content: string) => ({ role: "user" as const, content });
const show = (text: string) => text;
const quoting = (text: string): NewMessage => ({
  role: "user",
  kind: "quoting",
  text,
  images: [],
  files: [],
  speaker: null,
  fingerprint: messageFingerprint(text),
});
const result = (callId: string): NewMessage => ({
  role: "tool",
  callId,
  name: null,
  text: "r",
  images: [],
  files: [],
  isError: false,
  fingerprint: messageFingerprint("r"),
});
const input = (messages: readonly NewMessage[]) => ({ messages }) as unknown as Parameters<typeof isAnswerTo>[0];
const exchange = (users: readonly string[]) => ({
  users,
  answer: "x",
  turn: "t",
  answered: true,
  hasFailed: false,
  recorded: { users, answer: "x" },
});

const QUEUED = "[Queued user message from a previous active turn; preserved]\n";
const ABORTED = "\n<turn_aborted>\nThe previous turn was interrupted. x</turn_aborted>";
const STABLE = "<!-- openclaw:attempt:STABLE -->";
const STABLE_END = "<!-- /openclaw:attempt:STABLE -->";

/** Functions that are called with a text of `length` characters, or with a list of about that size. */
const work: [what: string, run: (length: number) => unknown][] = [
  ["white space in a command", (n) => describeToolUse("Bash", { command: `a${" ".repeat(n)}b` }, show)],
  [
    "white space in a command that is shown in full",
    (n) => spellOutToolUse("Bash", { command: `a${" ".repeat(n)}b` }, show),
  ],
  [
    "line ends in a command that is shown in full",
    (n) => spellOutToolUse("Bash", { command: `a${filled(n, "\n \t\u2028")}b` }, show),
  ],
  ["line ends behind a fence", (n) => unfenced(`\`\`\`\n${"\n".repeat(n)}x`)],
  ["white space behind a fence", (n) => unfenced(`\`\`\`${filled(n, "\n ")}x`)],
  ["fences in a fence", (n) => unfenced(`\`\`\`\n${filled(n, "\n```x")}`)],
  ["white space in base64", (n) => decodeBase64(`A${" ".repeat(n)}!`, 20 * MEGABYTE)],
  ["a data URL without an end", (n) => base64In(`data:${filled(n, ";base64")}`)],
  ["a file's address", (n) => readPart({ type: "file", file: { file_data: `a:${filled(n, "base64")}` } }, "")],
  ["alternating marks", (n) => messageFingerprint(`e${filled(n, "\u0301\u0323")}`)],
  ["alternating marks in an answer", (n) => answerFingerprint(`e${filled(n, "\u0301\u0323")}`)],
  ["carriage returns", (n) => messageFingerprint(filled(n, "\r\r\n"))],
  [
    "reasoning blocks that are never closed",
    (n) => answerFingerprint(filled(n, '<details type="reasoning"', "<think>")),
  ],
  ["quotations", (n) => quotations(filled(n, QUEUED, "a\n\n"))],
  ["quotations in quotations", (n) => splitMessage(filled(n, QUEUED))],
  [
    "delivered quotations",
    (n) => undelivered([quoting(filled(n, "a\n\n"))], (fingerprint) => fingerprint === messageFingerprint("a")),
  ],
  ["aborted turns", (n) => splitMessage(`${filled(n, ABORTED, "  ")}x`)],
  ["white space behind an aborted turn", (n) => saysAborted(`${ABORTED}${" ".repeat(n)}x`)],
  ["Runtime lines", (n) => splitRuntimeLine(user(`${filled(n, "\n\nRuntime: agent=x")}\n`))],
  [
    "fields of a Runtime line",
    (n) => splitRuntimeLine(user(`Runtime: agent=${filled(n, " | session=", " | agent=")}`)),
  ],
  ["ends of a system prompt's section", (n) => splitSystemPrompt(STABLE + filled(n, STABLE_END, " "))],
  ["a context message with many ends", (n) => contextIn(user(filled(n, "\n<<<END_OPENCLAW_INTERNAL_CONTEXT>>>")))],
  ["context blocks", (n) => parseUserMessage(filled(n, "a ⟦openclaw:ctx⟧\n```json\n{}\n```\n"))],
  ["white space in a verdict", (n) => readVerdict(input([quoting(`yes${" ".repeat(n)}!`)]) as never, "s", VERDICT)],
  ["the attributes of a channel tag", (n) => channelMessageId(`<channel ${filled(n, "message_id=")}`)],
  [
    "a side request's template",
    (n) =>
      findSideRequestForm(chatRequest.parse({ messages: [user(filled(n, "### Task:\n### Chat History:\n"))] }), ""),
  ],
  [
    "announced images",
    (n) => withToolImages([{ role: "tool", content: filled(n, "(see attached ") }, withImage(filled(n, "image "))]),
  ],
  [
    "a reference in a schema",
    (n) => claudeSchema({ type: "object", properties: { a: { $ref: `#/$defs/${filled(n, "a")}` } } }),
  ],
  [
    "a tool's name that may be that of a file tool",
    (n) => isFileOrShellTool({ name: filled(n, "aB_", "__"), description: "", parameters: {} }),
  ],
  ["a call's id", (n) => clientCallId("turn", filled(n, "toolu_"))],
  [
    "empty messages in a history",
    (n) =>
      historyText(
        Array.from({ length: n / 32 }, () => ({ role: "user", text: "" })),
        1_000_000,
      ),
  ],
  [
    "results and calls",
    (n) =>
      isAnswerTo(input(count(n, (at) => result(`call${at}`))), { turn: "turn", ids: count(n, (at) => `toolu_${at}`) }),
  ],
  [
    "allowed tools",
    (n) =>
      toolsOf(
        chatRequest.parse({
          messages: [user("a")],
          tools: count(n, namedTool("t")),
          tool_choice: { type: "allowed_tools", allowed_tools: { mode: "auto", tools: count(n, namedTool("u")) } },
        }),
      ),
  ],
  [
    "tools whose names become the same",
    (n) =>
      catalogueOf(
        count(n, (at) => ({ name: `${String.fromCodePoint(0x4e00 + at)}`, description: "", parameters: null })),
        { maxNameLength: 64, reserved: [] },
      ),
  ],
  [
    "a rewritten exchange of many messages",
    (n) => matchHistory([exchange(["y"])], [rewritten(n)], { isTruncated: false, sentText: () => "x".repeat(n) }),
  ],
  [
    "a request to a conversation of many exchanges",
    (n) =>
      chooseBranch([branch(n)], {
        input: { exchanges: [], newFingerprints: count(n, (at) => `${at}`) },
        sendsHistory: false,
        model: "b",
      } as never),
  ],
  [
    "parts of a text that arrive too early",
    (n) =>
      count(n, (at) => at).reduce<Answer>(
        (answer, at) => appendDelta(answer, { message: "m", index: at + 1, final: false, text: "a" })[0],
        emptyAnswer,
      ),
  ],
];

const VERDICT = { pending: { id: "k7m2", sender: "s" }, isDirect: true } as Parameters<typeof readVerdict>[2];
/** A list with one entry for every 128 characters of a text of this length. */
const count = <T>(length: number, item: (at: number) => T): T[] =>
  Array.from({ length: length / 128 }, (_, at) => item(at));
const namedTool = (prefix: string) => (at: number) => ({ type: "function", function: { name: `${prefix}${at}` } });
const withImage = (text: string) => ({
  role: "user" as const,
  content: [
    { type: "text", text },
    { type: "image_url", image_url: { url: "data:," } },
  ],
});
const branch = (length: number) => ({
  key: "k",
  model: "a",
  pendingFingerprints: [],
  delivered: () => [
    {
      turn: "t",
      traceId: null,
      dropped: 0,
      history: count(length, (at) => ({ users: [`${at}`], answer: "x" })),
      exchanges: [],
      hadHistory: null,
      volatile: null,
      answered: true,
      truncation: null,
      hasFailed: false,
    },
  ],
});
function rewritten(length: number): ClientExchange {
  const one = new ClientExchange(0);
  for (const at of count(length, (at) => at)) one.addUser(`${at}`, "y");
  one.addAnswer("x");
  return Object.assign(one, { isOpen: true });
}

/** The processor time of the fastest of three runs, in ms. The wall clock would count the work of other programs. */
function timeOf(run: () => unknown): number {
  return Math.min(
    ...Array.from({ length: 3 }, () => {
      const start = process.cpuUsage();
      run();
      const { user, system } = process.cpuUsage(start);
      return (user + system) / 1_000;
    }),
  );
}

/** Times below this are noise. */
const NOISE_MS = 5;
/** For twice the input, a quadratic function takes four times as long, a linear one twice. */
const MAX_GROWTH = 3.2;

test.each(work)("takes linear time: %s", (_what, run) => {
  run(1024);
  // A small input first: a quadratic function fails here, and is not called with a megabyte, which would take hours.
  expect(growth(run, 16 * 1024)).toBeLessThan(MAX_GROWTH);
  expect(growth(run, MEGABYTE / 2)).toBeLessThan(MAX_GROWTH);
});

function growth(run: (length: number) => unknown, length: number): number {
  // Measured up to three times: a busy machine may disturb one measurement.
  let least = Number.POSITIVE_INFINITY;
  for (let round = 0; round < 3 && least >= MAX_GROWTH; round += 1) {
    const once = timeOf(() => run(length));
    const twice = timeOf(() => run(length * 2));
    least = Math.min(least, twice / Math.max(once, NOISE_MS));
  }
  return least;
}
