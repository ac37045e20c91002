/** What is written to the process of a one-shot, and when. */
import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathsFor } from "../../src/config/paths.ts";
import { defaults } from "../../src/config/schema.ts";
import { systemClock } from "../../src/core/clock.ts";
import type { DialogueTurn } from "../../src/core/dialogue.ts";
import type { JsonSchema } from "../../src/core/tools.ts";
import type { OneShotRequest } from "../../src/intake/one-shot-request.ts";
import { SchemaChecker } from "../../src/json-schema/checker.ts";
import { AccountLimits } from "../../src/limits/account.ts";
import { Rejections } from "../../src/limits/rejections.ts";
import { startOneShotProcess } from "../../src/one-shot/process.ts";

const base = mkdtempSync(join(tmpdir(), "synthesis-one-shot-"));
afterAll(() => rmSync(base, { recursive: true, force: true }));

/** A program that records each line, and reports each message of the user as read. */
const program = join(base, "claude");
writeFileSync(
  program,
  `#!/bin/sh
while IFS= read -r line; do
  printf '%s\\n' "$line" >> '${base}/lines'
  case $line in *'"type":"user"'*)
    printf '%s\\n' read >> '${base}/lines'
    printf '%s\\n' '{"type":"result","is_error":false,"result":"","usage":{}}'
  esac
done
`,
  { mode: 0o755 },
);

const turn = (role: DialogueTurn["role"], text: string): DialogueTurn => ({ role, content: [{ type: "text", text }] });

/** Runs a one-shot. @returns the lines that its process has received, and `read` where it had read a message */
async function run(turns: readonly DialogueTurn[], claudeSchema: JsonSchema | null = null): Promise<object[]> {
  writeFileSync(join(base, "lines"), "");
  const request: OneShotRequest = {
    system: "",
    turns,
    prefill: null,
    format: claudeSchema ? { type: "json", schema: claudeSchema } : { type: "text" },
    claudeSchema,
    model: null,
    effort: null,
  };
  const config = { ...defaults(pathsFor("/nowhere")), claudeBin: program };
  const folder = join(base, crypto.randomUUID());
  const env = { HOME: base, PATH: process.env.PATH };
  const context = {
    config,
    folder,
    env,
    clock: systemClock,
    checker: new SchemaChecker(),
    rejections: new Rejections(),
    limits: new AccountLimits(),
    count: () => {},
  };
  let results = 0;
  const started = startOneShotProcess(request, context, ({ type }) => {
    if (type === "result") results += 1;
    if (type === "result" && claudeSchema) started.endInput();
  });
  await started.exited;
  // Only the last message is answered.
  expect(results).toBe(1);
  const lines = readFileSync(join(base, "lines"), "utf8").trim().split("\n");
  return lines.map((line) => (line === "read" ? { read: true } : JSON.parse(line)));
}

test("an answer is written only when Claude Code has read the message before it", async () => {
  const lines = await run([turn("user", "one"), turn("assistant", "two"), turn("user", "three")]);
  expect(lines).toMatchObject([
    { type: "user", shouldQuery: false, message: { content: [{ text: "one" }] } },
    { read: true },
    { type: "assistant", message: { content: [{ text: "two" }] } },
    { type: "user", message: { content: [{ text: "three" }] } },
    { read: true },
  ]);
  expect(lines[3]).not.toHaveProperty("shouldQuery");
});

test("every message is marked as the client's, so that none is read as a command", async () => {
  const lines = await run([turn("user", "/clear"), turn("assistant", "two"), turn("user", "/exit")]);
  const messages = lines.filter((line) => "type" in line && line.type === "user");
  expect(messages).toMatchObject([{ client_composed: true }, { client_composed: true }]);
});

test("the schema that the answer must fit is named before the first message", async () => {
  const schema = { type: "object" };
  expect(await run([turn("user", "one")], schema)).toMatchObject([
    { type: "control_request", request: { subtype: "initialize", jsonSchema: schema } },
    { type: "user" },
    { read: true },
  ]);
});
