/** On the real claude: one-shots, which belong to no conversation and leave nothing behind. */
import { Database } from "bun:sqlite";
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type OpenAI from "openai";
import type { ChatMessage } from "../../src/api/openai-chat/request.ts";
import { apiError, INPUT_USAGE, text, thinking, toolUse } from "../support/mock-anthropic.ts";
import {
  agentRequest,
  contextMessage,
  assistant as openClawAssistant,
  user as openClawUser,
  toolResult,
  withTimestamp,
} from "../support/openclaw.ts";
import { descendants, waitForExit, withCommand } from "../support/processes.ts";
import { startServer } from "../support/server.ts";
import { answerText, ask, next, texts } from "../support/sse.ts";
import { hasHookRun, layTraps } from "../support/traps.ts";
import { createWorld as createAnyWorld, type World, type WorldOptions } from "../support/world.ts";

/** A server that answers every request without a conversation by a process of its own, which exits. */
const createWorld = (options: WorldOptions = {}): Promise<World> =>
  createAnyWorld({ ...options, env: { SYNTHESIS_MAX_LINGERING: "0", ...options.env } });

let world: World;
beforeAll(async () => {
  world = await createWorld({ prepare: layTraps });
});
afterAll(() => world[Symbol.asyncDispose]());

type Message = { role: string; content: unknown };
/** The body of a one-shot. */
const oneShot = (content: string, more: object = {}) => ask(content, { user: undefined, ...more });
const oneShotOf = (...messages: Message[]) => oneShot("", { messages });
const unstreamed = (content: string, more: object = {}) => oneShot(content, { stream: false, ...more });
const user = (content: unknown): Message => ({ role: "user", content });
const assistant = (content: string): Message => ({ role: "assistant", content });
const answerOf = async (response: Response) =>
  ((await response.json()) as { choices: { message: { content: string } }[] }).choices[0]?.message.content;
const errorOf = async (response: Response) => ((await response.json()) as { error: { code: string } }).error.code;
const claudes = (of = world) => withCommand(descendants(of.server.pid), /--print/);
const runFolder = (of = world) => readdirSync(join(of.claude.base, "state/run"));
/** Waits until the one-shot with this answer has ended. */
const oneShotEnded = (response: Response) =>
  world.server.logged(new RegExp(`one-shot ended.*${response.headers.get("x-request-id")}`));

describe("an answer", () => {
  test("streams token by token while the model still writes", async () => {
    const gate = Promise.withResolvers<void>();
    world.mock.on(/slowly/, async function* () {
      yield thinking("not for you");
      yield text("one ");
      await gate.promise;
      yield text("two");
    });
    const response = await world.server.post(oneShot("slowly"));
    expect(response.headers.get("x-synthesis-session")).toBe("stateless");
    expect(response.headers.get("x-synthesis-process")).toBe("cold");
    const answer = texts(response);
    expect(await next(answer)).toBe("one ");
    gate.resolve();
    expect(await Array.fromAsync(answer)).toEqual(["two"]);
  });

  test("is complete and has its usage, for OpenAI's own client", async () => {
    const { openai } = world.server;
    const messages = [{ role: "user" as const, content: "hello" }];
    const { input_tokens, cache_read_input_tokens, cache_creation_input_tokens } = INPUT_USAGE;
    const usage = {
      prompt_tokens: input_tokens + cache_read_input_tokens + cache_creation_input_tokens,
      completion_tokens: 1,
      prompt_tokens_details: { cached_tokens: cache_read_input_tokens },
    };
    const answer = await openai.chat.completions.create({ model: "sonnet", messages });
    expect(answer).toMatchObject({
      choices: [{ message: { role: "assistant", content: "You said: hello" }, finish_reason: "stop" }],
      usage,
    });
    const stream_options = { include_usage: true };
    const stream = await openai.chat.completions.create({ model: "sonnet", messages, stream: true, stream_options });
    const chunks = await Array.fromAsync(stream);
    expect(chunks.map((chunk) => chunk.choices[0]?.delta.content ?? "").join("")).toBe("You said: hello");
    expect(chunks.at(-2)?.choices[0]?.finish_reason).toBe("stop");
    expect(chunks.at(-1)?.usage).toMatchObject(usage);
  });

  test("that breaks off and is completed reaches the client once", async () => {
    world.mock.on(/break off/, function* ({ body }) {
      yield text("It begins\n");
      if (body.stream) yield apiError(500, "overloaded_error", "Overloaded");
      yield text("and it ends");
    });
    expect(await answerText(await world.server.post(oneShot("break off")))).toBe("It begins\nand it ends");
  });

  test("is valid JSON, without a code fence or as its schema says", async () => {
    world.mock.on(/a fenced object/, function* () {
      yield text('```json\n{"a":');
      yield text(" 1}\n```");
    });
    const object = await world.server.post(unstreamed("a fenced object", { response_format: { type: "json_object" } }));
    expect(JSON.parse(`${await answerOf(object)}`)).toEqual({ a: 1 });
    expect((await world.mock.request(/a fenced object/)).shown).toContain("single JSON object");

    world.mock.on(/a name/, function* () {
      yield text("Here it is:");
      yield toolUse("StructuredOutput", { name: "Ada" });
    });
    const schema = { type: "object", properties: { name: { type: "string" } }, required: ["name"] };
    const json_schema = { name: "person", schema };
    const held = await world.server.post(
      unstreamed("a name", { response_format: { type: "json_schema", json_schema } }),
    );
    expect(JSON.parse(`${await answerOf(held)}`)).toEqual({ name: "Ada" });
  });

  test("fits a schema that Claude Code does not take as it is: it gets a simpler one, and answers again", async () => {
    world.mock.on(/a year/, function* () {
      yield toolUse("StructuredOutput", { year: 0, pair: ["a", "b"] });
    });
    world.mock.on(/year must be/, function* () {
      yield toolUse("StructuredOutput", { year: 1984, pair: ["a", 1] });
    });
    const schema = {
      $schema: "https://json-schema.org/draft/2020-12/schema",
      type: "object",
      properties: {
        year: { type: "number", minimum: 0, exclusiveMinimum: true },
        pair: { prefixItems: [{ type: "string" }, { type: "number" }], minItems: 2 },
        name: { type: "string", pattern: "(?i)ada", "x-order": 1 },
        place: { $ref: "https://example.com/place.json" },
        parent: { $dynamicRef: "#node" },
        code: { $ref: "#/$defs/none" },
      },
      required: ["year"],
    };
    const json_schema = { name: "dated", schema };
    const response = await world.server.post(
      unstreamed("a year", { response_format: { type: "json_schema", json_schema } }),
    );
    expect(JSON.parse(`${await answerOf(response)}`)).toEqual({ year: 1984, pair: ["a", 1] });
    expect(response.headers.get("x-synthesis-unchecked")).toBe(
      "$dynamicRef at /properties/parent; $ref at /properties/place; $ref at /properties/code",
    );
  });
});

describe("the model is shown", () => {
  test("every message in its role, the client's system prompt, no tools, and nothing from the user's files", async () => {
    const messages = [
      { role: "system", content: "You are a parrot." },
      user("/compact first"),
      assistant("second"),
      user("third"),
      {
        role: "assistant",
        content: null,
        tool_calls: [{ id: "c1", function: { name: "exec", arguments: '{"a":1}' } }],
      },
      { role: "tool", tool_call_id: "c1", content: "fourth" },
      user([
        { type: "text", text: "fifth" },
        {
          type: "image_url",
          image_url: {
            url: "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==",
          },
        },
      ]),
    ];
    const response = await world.server.post(oneShotOf(...messages));
    expect(await answerText(response)).toBe("You said: fifth");
    const { body, shown } = await world.mock.request(/fifth/);
    const dialog = body.messages.filter(({ role }) => role !== "system");
    expect(dialog.map(({ role }) => role)).toEqual(["user", "assistant", "user", "assistant", "user"]);
    expect(dialog.map(({ content }) => said(content))).toEqual([
      "/compact first",
      "second",
      "third",
      '[called exec with {"a":1}]',
      "[result of exec]\nfourth|fifth|image",
    ]);
    expect(JSON.stringify(body.system)).toContain("You are a parrot.");
    expect(body.tools ?? []).toEqual([]);
    expect(shown).not.toContain("memory");
    expect(hasHookRun(world.claude)).toBe(false);
  });

  test("a path in a message, but not the file", async () => {
    const secret = join(world.claude.workspace, "secret.txt");
    writeFileSync(secret, "a secret text");
    await answerText(
      await world.server.post(oneShotOf(user(`one @${secret}`), assistant("yes"), user(`two @${secret}`))),
    );
    const { shown } = await world.mock.request(/two @/);
    expect(shown).toContain(`two @${secret}`);
    expect(shown).not.toContain("a secret text");
  });

  test("with the model and the effort that the request chooses", async () => {
    await answerText(await world.server.post(oneShot("with a model", { model: "claude-sonnet-4-5" })));
    expect((await world.mock.request(/^with a model$/)).body).toMatchObject({ model: "claude-sonnet-4-5" });
    await answerText(await world.server.post(oneShot("with an effort", { reasoning_effort: "high" })));
    expect((await world.mock.request(/^with an effort$/)).body).toMatchObject({ output_config: { effort: "high" } });
  });
});

const said = (content: unknown): string =>
  typeof content === "string"
    ? content
    : (content as { type: string; text?: string }[]).map(({ type, text }) => text?.trim() ?? type).join("|");

describe("leaves nothing behind", () => {
  test("after its end: no process, no folder, no transcript", async () => {
    const response = await world.server.post(oneShot("leave no trace"));
    await answerText(response);
    const { pid } = JSON.parse(await oneShotEnded(response)).properties;
    // The processes of other tests may still be ending.
    await waitForExit([pid, ...claudes()]);
    expect(claudes()).toEqual([]);
    expect(runFolder()).toEqual([]);
    const kept = await Bun.$`grep -rl "leave no trace" ${world.claude.base}`.nothrow().quiet().text();
    expect(kept).toBe("");
    expect(world.server.log()).not.toContain("leave no trace");
  });

  test("after its client has disconnected, which ends the model request", async () => {
    world.mock.on(/endless/, async function* () {
      yield text("and so on ");
      await new Promise(() => {});
    });
    const client = new AbortController();
    const response = await world.server.post(oneShot("endless"), {}, client.signal);
    await next(texts(response));
    const pids = claudes();
    expect(pids).toHaveLength(1);
    client.abort();
    expect(await (await world.mock.request(/^endless$/)).closed).toBe("aborted");
    await oneShotEnded(response);
    await waitForExit(pids);
    expect(runFolder()).toEqual([]);
  });

  test("after its server was killed", async () => {
    await using doomed = await createWorld();
    doomed.mock.on(/endless/, async function* () {
      yield text("and so on ");
      await new Promise(() => {});
    });
    const answer = texts(await doomed.server.post(oneShot("endless")));
    await next(answer);
    const pids = claudes(doomed);
    expect(pids).toHaveLength(1);
    await doomed.server.stop("SIGKILL");
    await waitForExit(pids);
    await answer.return(undefined).catch(() => {});
  });
});

describe("answers a failure with an HTTP status:", () => {
  const faults: [what: string, status: number, type: string, expected: [number, string]][] = [
    ["a rate limit", 429, "rate_limit_error", [429, "rate_limited"]],
    ["an overload", 529, "overloaded_error", [503, "overloaded"]],
    ["a rejected login", 401, "authentication_error", [503, "claude_not_logged_in"]],
    ["a bad request", 400, "invalid_request_error", [400, "invalid_request"]],
    ["a fault", 500, "api_error", [502, "claude_failed"]],
  ];
  test.each(faults)("%s", async (what, status, type, expected) => {
    world.mock.on(new RegExp(`^${what}$`), function* () {
      yield apiError(status, type, "not now", { "retry-after": "0" });
    });
    for (const body of status === 429 ? [unstreamed(what), oneShot(what)] : [oneShot(what)]) {
      const response = await world.server.post(body);
      expect([response.status, await errorOf(response)]).toEqual(expected);
    }
  });

  test("a history that is too long for the model", async () => {
    world.mock.on(/far too much/, function* () {
      yield apiError(400, "invalid_request_error", "prompt is too long: 300000 tokens > 200000 maximum");
    });
    const response = await world.server.post(oneShot("far too much"));
    expect([response.status, await errorOf(response)]).toEqual([400, "context_length_exceeded"]);
  });

  test("no login, or an API key that the user has not approved", async () => {
    for (const options of [{ loggedIn: false }, { keyApproved: false }]) {
      await using refusing = await createWorld(options);
      const response = await refusing.server.post(oneShot("hello"));
      expect([response.status, await errorOf(response)]).toEqual([503, "claude_not_logged_in"]);
      expect(refusing.mock.requests).toHaveLength(0);
    }
    const env = { SYNTHESIS_USE_API_KEY: "true" };
    await using approving = await createWorld({ keyApproved: false, env });
    expect(await answerText(await approving.server.post(oneShot("hello")))).toBe("You said: hello");
  });

  test("an answer that should be JSON and is not", async () => {
    const response = await world.server.post(oneShot("hello", { response_format: { type: "json_object" } }));
    expect([response.status, await errorOf(response)]).toEqual([502, "claude_failed"]);
  });

  test("a claude that does not answer in time, or exits at once", async () => {
    await using late = await createWorld({ env: { SYNTHESIS_TURN_TIMEOUT_MS: "3000" } });
    late.mock.on(/never/, async function* () {
      await new Promise(() => {});
    });
    const slow = await late.server.post(unstreamed("never"));
    expect([slow.status, await errorOf(slow)]).toEqual([504, "turn_timeout"]);

    await using none = await createWorld({ env: { SYNTHESIS_CLAUDE_BIN: "/bin/false" } });
    const failed = await none.server.post(unstreamed("hello"));
    expect([failed.status, await errorOf(failed)]).toEqual([503, "claude_not_ready"]);
  });
});

describe("with SYNTHESIS_MAX_ONE_SHOTS", () => {
  test("more one-shots wait, and those beyond the queue get 429 with Retry-After", async () => {
    await using full = await createWorld({ env: { SYNTHESIS_MAX_ONE_SHOTS: "1", SYNTHESIS_MAX_QUEUE: "1" } });
    const gate = Promise.withResolvers<void>();
    full.mock.on(/hold/, async function* () {
      yield text("held");
      await gate.promise;
    });
    const first = texts(await full.server.post(oneShot("hold")));
    await next(first);
    const second = full.server.post(oneShot("second"));
    await full.server.logged(/one-shot queued/);
    const refused = await full.server.post(oneShot("third"));
    expect([refused.status, await errorOf(refused)]).toEqual([429, "queue_full"]);
    expect(Number(refused.headers.get("retry-after"))).toBeGreaterThanOrEqual(1);
    // Conversations do not wait for one-shots.
    expect(await answerText(await full.server.post(ask("hello")))).toBe("You said: hello");
    expect(full.mock.requests.map(({ asked }) => asked)).not.toContain("second");
    gate.resolve();
    expect(await answerText(await second)).toBe("You said: second");
    await first.return(undefined);
  });

  test("a shutdown lets running one-shots finish and refuses waiting ones", async () => {
    await using ending = await createWorld({ env: { SYNTHESIS_MAX_ONE_SHOTS: "1" } });
    const gate = Promise.withResolvers<void>();
    ending.mock.on(/hold/, async function* () {
      yield text("held ");
      await gate.promise;
      yield text("to the end");
    });
    const first = texts(await ending.server.post(oneShot("hold")));
    await next(first);
    const waiting = ending.server.post(oneShot("waits"));
    await ending.server.logged(/one-shot queued/);
    const stopped = ending.server.stop();
    const refused = await waiting;
    expect([refused.status, await errorOf(refused)]).toEqual([503, "shutting_down"]);
    gate.resolve();
    expect(await Array.fromAsync(first)).toEqual(["to the end"]);
    expect(await stopped).toBe(0);
  });
});

test("an interactive claude can answer one-shots, too, and leaves nothing behind", async () => {
  await using other = await createWorld({ env: { SYNTHESIS_ONE_SHOTS: "interactive" } });
  const messages = [
    { role: "system", content: "You give names." },
    { role: "user", content: "one" },
    { role: "assistant", content: "1" },
    { role: "user", content: "two" },
  ];
  other.mock.on(/\ntwo\n/, function* () {
    yield text('{"two": 2}');
  });
  const response = await other.server.post({ ...oneShot(""), messages, response_format: { type: "json_object" } });
  expect(response.headers.get("x-synthesis-session")).toBe("stateless");
  expect(await answerText(response)).toBe('{"two": 2}');
  const { shown, body } = await other.mock.request(/\ntwo\n/);
  expect(shown).toContain("You give names.");
  expect(shown).not.toContain("# Harness");
  expect(shown).toContain("User: one");
  expect(shown).toContain("single JSON object");
  expect(body.tools?.map(({ name }) => name) ?? []).toEqual([]);
  await other.server.logged(/claude exited.*one-shot:/);
  await other.server.stop();
  expect(kept(other)).toEqual({ sessions: [], turns: 0, pastSessions: 0, transcripts: 0 });
});

test("an interactive claude calls the tools of a request without a name, and exits after the answer", async () => {
  await using other = await createWorld({ env: { SYNTHESIS_ONE_SHOTS: "interactive" } });
  other.mock.on(/weather/, function* ({ toolResults }) {
    if (toolResults.length > 0) yield text(`It says: ${toolResults[0]?.content}`);
    else yield toolUse("mcp__plugin_synthesis_chat__weather", { city: "Oslo" });
  });
  const tools = [{ type: "function" as const, function: { name: "weather", parameters: { type: "object" } } }];
  const question = { role: "user" as const, content: "the weather?" };
  const ask = (...messages: OpenAI.ChatCompletionMessageParam[]) =>
    other.server.openai.chat.completions
      .create({ model: "sonnet", messages: [question, ...messages], tools, tool_choice: "required" })
      .withResponse();
  const first = (await ask()).data.choices[0]?.message as OpenAI.ChatCompletionMessage;
  const id = first.tool_calls?.[0]?.id ?? "";
  const { data, response } = await ask(first, { role: "tool", tool_call_id: id, content: "rain" });
  expect([data.choices[0]?.message.content, response.headers.get("x-synthesis-process")]).toEqual([
    "It says: rain",
    "warm",
  ]);
  const { body } = await other.mock.request(/the weather/);
  expect(body.tools?.map(({ name }) => name)).toEqual(["mcp__plugin_synthesis_chat__weather"]);
  await other.server.logged(/claude exited.*one-shot:/);
  await other.server.stop();
  expect(kept(other)).toEqual({ sessions: [], turns: 0, pastSessions: 0, transcripts: 0 });
});

/** What an ended server and its claudes have stored of conversations. */
function kept({ claude: { base, home } }: World) {
  const database = new Database(join(base, "state/synthesis.db"), { readonly: true });
  const count = (table: string) => database.query(`select * from ${table}`).all().length;
  const sessions = database.query("select key from sessions").values().flat();
  const rows = { sessions, turns: count("turns"), pastSessions: count("past_sessions") };
  database.close();
  return {
    ...rows,
    transcripts: [...new Bun.Glob("projects/**/*.jsonl").scanSync({ cwd: join(home, ".claude") })].length,
  };
}

describe("a side request of OpenClaw that needs its tools", () => {
  const flush = withTimestamp("Pre-compaction memory flush. Write down what lasts.");
  const options = {
    session: "agent:main:internal-session-effects:3f-1",
    tools: ["read", "write"],
  };
  const sendTo = async (to: World, ...more: ChatMessage[]) => {
    const { request, headers } = agentRequest([openClawUser(flush), ...more, contextMessage()], options);
    const response = await to.server.post({ ...request, stream: false }, Object.fromEntries(headers));
    const { choices } = (await response.json()) as OpenAI.ChatCompletion;
    return choices[0]?.message;
  };
  const WRITE = "mcp__plugin_synthesis_chat__write";

  test("can call them, and leaves nothing behind", async () => {
    await using other = await createWorld();
    other.mock.on(/memory flush/, function* ({ toolResults }) {
      if (toolResults.length === 0) yield toolUse(WRITE, { path: "memory.md", content: "what lasts" });
      else yield text(`It says: ${toolResults[0]?.content}`);
    });
    const asked = await sendTo(other);
    const call = asked?.tool_calls?.[0];
    expect(call).toMatchObject({
      function: { name: "write", arguments: '{"path":"memory.md","content":"what lasts"}' },
    });
    const answer = await sendTo(
      other,
      openClawAssistant("", [`${call?.id}`, "write"]),
      toolResult(`${call?.id}`, "written"),
    );
    expect(answer?.content).toBe("It says: written");
    await other.server.logged(/claude exited.*internal-session-effects/);
    await other.server.stop();
    expect(kept(other)).toEqual({ sessions: [], turns: 0, pastSessions: 0, transcripts: 0 });
  });

  test("leaves nothing behind when its server is killed and the next one has started", async () => {
    await using other = await createWorld();
    other.mock.on(/memory flush/, function* () {
      yield toolUse(WRITE, { path: "memory.md", content: "what lasts" });
    });
    await sendTo(other);
    await other.server.stop("SIGKILL");
    const next = await startServer(other.serverEnv);
    await next.stop();
    expect(kept(other)).toEqual({ sessions: [], turns: 0, pastSessions: 0, transcripts: 0 });
  });
});

test("requests without a key share one conversation with SYNTHESIS_IDENTITY_FALLBACK=default", async () => {
  await using shared = await createWorld({ env: { SYNTHESIS_IDENTITY_FALLBACK: "default" } });
  await answerText(await shared.server.post(oneShot("hello")));
  const again = await shared.server.post(oneShot("again"));
  expect(again.headers.get("x-synthesis-session")).toBe("default");
  expect(again.headers.get("x-synthesis-process")).toBe("warm");
});
