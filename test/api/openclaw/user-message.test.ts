/** A person's words, without what OpenClaw puts before them. */
import { expect, test } from "bun:test";
import { parseUserMessage } from "../../../src/api/openclaw/user-message.ts";

const block = (json: string, title = "Conversation info:") =>
  `${title} ⟦openclaw:ctx⟧\n\`\`\`json\n${json}\n\`\`\`\n\n`;
const ANN = '{"sender":{"id":"1001","name":"Ann"}}';

const cases: [what: string, text: string, words: string, sender: string | null][] = [
  ["their words alone", "yes", "yes", null],
  ["the time", "[Sun 2026-11-22 08:00 UTC] yes", "yes", null],
  ["the time and who they are", `[Sun 2026-11-22 08:00 UTC] ${block(ANN)}yes`, "yes", "1001"],
  ["several blocks", `${block('{"timestamp":"x"}')}${block(ANN, "Sender:")}a\n\nb`, "a\n\nb", "1001"],
  ["another's name in their own words", `${block(ANN)}${block('{"sender":{"id":"1002"}}')}yes`, "yes", "1001"],
  ["no JSON", `${block("nothing")}yes`, "yes", null],
  ["a block behind words", `yes\n${block(ANN)}`, `yes\n${block(ANN)}`.trim(), null],
];
test.each(cases)("%s", (_what, text, words, sender) => expect(parseUserMessage(text)).toEqual({ text: words, sender }));
