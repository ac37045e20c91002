/** The text and the sender in a message as OpenClaw sends it. */
import { expect, test } from "bun:test";
import { parseUserMessage } from "../../../src/api/openclaw/user-message.ts";

const block = (json: string, title = "Conversation info:") =>
  `${title} ⟦openclaw:ctx⟧\n\`\`\`json\n${json}\n\`\`\`\n\n`;
const ANN = '{"sender":{"id":"1001","name":"Ann"}}';

const cases: [what: string, message: string, text: string, sender: string | null][] = [
  ["reads a plain message", "yes", "yes", null],
  ["removes the timestamp", "[Sun 2026-11-22 08:00 UTC] yes", "yes", null],
  ["reads the sender behind the timestamp", `[Sun 2026-11-22 08:00 UTC] ${block(ANN)}yes`, "yes", "1001"],
  ["removes several context blocks", `${block('{"timestamp":"x"}')}${block(ANN, "Sender:")}a\n\nb`, "a\n\nb", "1001"],
  [
    "ignores a second sender, which the person may have written",
    `${block(ANN)}${block('{"sender":{"id":"1002"}}')}yes`,
    "yes",
    "1001",
  ],
  ["ignores a context block without JSON", `${block("nothing")}yes`, "yes", null],
  ["keeps a context block behind the text", `yes\n${block(ANN)}`, `yes\n${block(ANN)}`.trim(), null],
];
test.each(cases)("%s", (_what, message, text, sender) => expect(parseUserMessage(message)).toEqual({ text, sender }));
