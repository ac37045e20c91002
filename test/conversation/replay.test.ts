/** The answer of an earlier turn, given again from Claude's transcript. */
import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ConversationRecord } from "../../src/conversation/record.ts";
import { replayAnswer } from "../../src/conversation/replay.ts";
import type { ResponsePart } from "../../src/core/response-part.ts";
import { ResponseStream } from "../../src/turn/response-stream.ts";

const base = mkdtempSync(join(tmpdir(), "synthesis-replay-"));
afterAll(() => rmSync(base, { recursive: true, force: true }));

const prompt = {
  type: "user",
  promptId: "p",
  message: { content: '<channel source="x" message_id="t1">\nhi\n</channel>' },
};
const answer = (id: string, text: string) => ({
  type: "assistant",
  message: { id, content: [{ type: "text", text }], usage: { input_tokens: 1, output_tokens: 2 } },
});
const end = { type: "system", subtype: "turn_duration" };

/** @param rows of the transcript; null when there is none */
async function replay(rows: object[] | null) {
  const marked: string[] = [];
  const path = join(base, `${crypto.randomUUID()}.jsonl`);
  if (rows) writeFileSync(path, rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
  const record = { transcript: async () => rows && path, markAnswered: (turn: string) => marked.push(turn) };
  const response = new ResponseStream();
  const isReplayed = await replayAnswer("t1", record as unknown as ConversationRecord, response, "user:ann");
  const parts: ResponsePart[] = [];
  if (isReplayed) for await (const some of response.parts()) parts.push(...some);
  return { isReplayed, marked, parts, origin: response.processOrigin };
}

test("gives all texts of the answer, its end and its token usage", async () => {
  const { isReplayed, marked, parts, origin } = await replay([prompt, answer("m1", "one"), answer("m2", "two"), end]);
  expect(isReplayed).toBe(true);
  expect(parts.map(({ type }) => type)).toEqual(["text", "finish", "usage"]);
  expect(parts[0]).toEqual({ type: "text", text: "one\n\ntwo" });
  expect(origin).toBe("warm");
  expect(marked).toEqual(["t1"]);
});

test("lets Claude answer again when there is no transcript", async () => {
  expect(await replay(null)).toMatchObject({ isReplayed: false, marked: [] });
});
