/**
 * The stand-in over stream-json against the real claude: the same messages through a server each, and what the two
 * processes write to the server. A program between them keeps their lines.
 */
import { expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { ClaudeEvent } from "../../../src/claude/agent-process.ts";
import { parseLine, type StreamLine } from "../../../src/claude/stream/protocol.ts";
import { StreamTranslator } from "../../../src/claude/stream/translator.ts";
import { apiError, text, toolUse } from "../../support/mock-anthropic.ts";
import { REAL_CLAUDE } from "../../support/server.ts";
import { answerText, ask, next, texts } from "../../support/sse.ts";
import { createWorld, standInClaude, type World } from "../../support/world.ts";

const TOOLS = { tools: [{ type: "function", function: { name: "look" } }] };

/** A program that runs claude and keeps what it writes. @returns its path and the path of the lines */
function keepLines(folder: string, claude: string): { program: string; lines: string } {
  const program = join(folder, "claude-with-lines");
  const lines = join(folder, "lines");
  // Each line is kept before the server reads it. `tee` would do it the other way round.
  const keep = `while IFS= read -r line; do printf '%s\\n' "$line" >>'${lines}'; printf '%s\\n' "$line"; done`;
  const kept = `'${claude}' "$@" | ${keep}`;
  writeFileSync(program, `#!/bin/sh\ncase "$1" in --print) ${kept};; *) exec '${claude}' "$@";; esac\n`, {
    mode: 0o755,
  });
  return { program, lines };
}

/** Makes the real claude's model do what the stand-in does. */
function scriptModel({ mock }: World): void {
  const command = (name: string) => new RegExp(`\n${name}\n`);
  mock.on(command("lines 3"), function* () {
    for (const line of [0, 1, 2]) yield text(`lines 3 ${line}\n`);
  });
  mock.on(command("call 2"), function* ({ toolResults }) {
    if (toolResults.length > 0) yield text(`You said: ${toolResults.map(({ content }) => content).join("|")}`);
    else for (const index of [0, 1]) yield toolUse("mcp__plugin_synthesis_chat__look", { index });
  });
  mock.on(command("permit rm -r x"), function* ({ toolResults }) {
    if (toolResults.length > 0) yield text("You said: permit rm -r x");
    else yield toolUse("Bash", { command: "rm -r x" });
  });
  let breaks = 1;
  mock.on(command("break"), function* () {
    if (breaks-- > 0) {
      yield text("one ");
      yield apiError(529, "overloaded_error", "too much");
    } else yield text("one two");
  });
  mock.on(command("fail"), function* () {
    yield apiError(429, "rate_limit_error", "slow down", { "retry-after": "0" });
  });
  mock.on(command("begin"), async function* ({ closed }) {
    yield text("begun");
    await closed;
  });
}

/** Sends the messages to a server. @returns the lines that its claude has written */
async function play(isStandIn: boolean): Promise<string[]> {
  let lines = "";
  const env: Record<string, string> = {
    SYNTHESIS_ENGINE: "stream",
    SYNTHESIS_PERMISSIONS: "refuse",
    SYNTHESIS_ALLOWED_TOOLS: "Read",
  };
  await using world = await createWorld({
    env,
    prepare: ({ base }) => {
      const kept = keepLines(base, isStandIn ? standInClaude(base) : REAL_CLAUDE);
      env.SYNTHESIS_CLAUDE_BIN = kept.program;
      lines = kept.lines;
    },
  });
  scriptModel(world);
  const post = (content: string, signal?: AbortSignal) => world.server.post(ask(content, TOOLS), {}, signal);
  for (const content of ["hello", "lines 3", "permit rm -r x", "break"]) await answerText(await post(content));
  const calling = await world.server.post(ask("call 2", { ...TOOLS, stream: false }));
  const { choices } = (await calling.json()) as { choices: { message: { tool_calls: { id: string }[] } }[] };
  const [{ message } = { message: { tool_calls: [] } }] = choices;
  const results = message.tool_calls.map(({ id }) => ({ role: "tool", tool_call_id: id, content: "seen" }));
  await answerText(await world.server.post(ask("", { ...TOOLS, messages: [message, ...results] })));
  const client = new AbortController();
  expect(await next(texts(await post("begin", client.signal)))).toBe("begun");
  client.abort();
  await answerText(await post("again"));
  await (await post("fail")).text();
  await answerText(await post("after that"));
  return readFileSync(lines, "utf8").trim().split("\n");
}

/**
 * What the server reads of the lines, in order: the requests and responses, and the events that a conversation gets.
 * Ids are replaced by their order of appearance.
 */
function whatIsRead(lines: readonly string[]): { control: string[]; events: string[] } {
  const translator = new StreamTranslator("session", () => 0);
  const control: string[] = [];
  const events: string[] = [];
  const ids: string[] = [];
  for (const line of lines.map(parseLine)) {
    if (line === null || line.type === "refused_request") continue;
    if (line.type === "control_request") control.push(requestOf(line));
    else if (line.type === "control_response") control.push(`response to ${line.response.request_id}`);
    else events.push(`line ${line.type}`, ...translator.translate(line).map(briefly));
  }
  const plain = events.map((one) =>
    one.replaceAll(/(?:calls |msg_|toolu_)*[0-9a-f-]{32,36}(?: repeated)?/g, (id) => {
      if (!ids.includes(id)) ids.push(id);
      return `id ${ids.indexOf(id)}`;
    }),
  );
  // What follows the last answer may not be written before the server ends.
  const end = plain.findLastIndex((one) => one.includes('"Stop"')) + 1;
  return { control: control.toSorted(), events: plain.slice(0, end) };
}

const requestOf = ({ request }: StreamLine & { type: "control_request" }): string => {
  if (request.subtype === "can_use_tool") return `can_use_tool ${request.tool_name} ${JSON.stringify(request.input)}`;
  const { method, params } = request.message as { method?: string; params?: { name?: string; arguments?: object } };
  return `mcp ${method} ${params?.name} ${JSON.stringify(params?.arguments)}`;
};

function briefly(event: ClaudeEvent): string {
  if (event.type !== "hook") return JSON.stringify(event);
  // A model's stream of text may come in other parts, and so may what a tool was given.
  const {
    transcript_path: _path,
    duration_ms: _ms,
    ...rest
  } = event.hook as typeof event.hook & object & { duration_ms?: number };
  return JSON.stringify(rest);
}

test("the stand-in writes over stream-json what the real claude writes", async () => {
  const real = whatIsRead(await play(false));
  const standIn = whatIsRead(await play(true));
  expect(standIn.events).toEqual(real.events);
  expect(standIn.control).toEqual(real.control);
}, 120_000);
