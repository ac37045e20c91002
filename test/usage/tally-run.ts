/**
 * Turns of every kind on the real claude, with restarts of the server in between. What `/v1/usage` counts of them is
 * compared with what the mock has sent.
 */
import { Database } from "bun:sqlite";
import { join } from "node:path";
import type { UsageBy, UsageReport } from "../../src/wire/usage.ts";
import { controlKey } from "../support/control.ts";
import { apiError, type ModelRequest, type Step, text, toolUse, usage } from "../support/mock-anthropic.ts";
import { startServer, type TestServer } from "../support/server.ts";
import { ask, events, texts } from "../support/sse.ts";
import { createWorld, type World } from "../support/world.ts";

/** What happens in a turn. A message is `ACT <act> <number>`. */
export type Act =
  | "plain"
  /** A tool of Claude. */
  | "bash"
  /** A subagent with another model, which uses a tool. */
  | "delegate"
  | "one-shot"
  /** A request without a name, with a tool of the client. */
  | "unnamed"
  /** The API refuses the request. */
  | "refused"
  /** The API fails twice before it answers. */
  | "overloaded"
  /** The stream of the answer ends with an error, and Claude requests the answer again. */
  | "broken"
  /** The answer fills the context, so that Claude compacts the conversation before the next one. */
  | "full"
  /** The client disconnects after a tool, in the middle of an answer. */
  | "disconnect"
  /** The server is stopped at that point, and started again. */
  | "SIGTERM"
  | "SIGKILL";

/** One round of turns that follow each other. Turns that were cut off are counted when the server starts again. */
export const ROUND: readonly Act[] = [
  "bash",
  "delegate",
  "one-shot",
  "unnamed",
  "refused",
  "overloaded",
  "broken",
  "disconnect",
  "SIGTERM",
  "full",
  "plain",
  "SIGKILL",
  "plain",
];

const KINDS = [
  "model_calls",
  "input_tokens",
  "cache_read_input_tokens",
  "cache_creation_input_tokens",
  "output_tokens",
] as const;
type Figures = Record<(typeof KINDS)[number], number>;
/** The figures of each model. */
type Tally = Record<string, Figures>;

const FIRST_OUTPUT = 10_000;
const HALF = "One moment.\n\n";
const LOOK = { type: "function", function: { name: "look", parameters: { type: "object", properties: {} } } };
const isCutOff = (act: string): act is "disconnect" | "SIGTERM" | "SIGKILL" =>
  act === "disconnect" || act === "SIGTERM" || act === "SIGKILL";

export class TallyRun {
  readonly #engine: string;
  readonly #world: World;
  #server: TestServer;
  #turns = 0;
  #calls = 0;
  /** How often each message has been answered or refused. */
  readonly #attempts = new Map<string, number>();
  /** The output tokens of the last call that was answered for each message. Each call has other figures. */
  readonly #outputs = new Map<string, number>();

  private constructor(engine: string, world: World) {
    this.#engine = engine;
    this.#world = world;
    this.#server = world.server;
    world.mock.on(/./, (request) => this.#answer(request));
  }

  static async start(engine: string): Promise<TallyRun> {
    return new TallyRun(engine, await createWorld({ env: { SYNTHESIS_ENGINE: engine, SYNTHESIS_DRAIN_MS: "100" } }));
  }

  async take(act: Act, user: string): Promise<void> {
    this.#turns += 1;
    const content = `ACT ${act} ${this.#turns}`;
    if (isCutOff(act)) await this.#cutOff(act, content, user);
    else if (act === "unnamed") await this.#askWithTool(content);
    else await (await this.#server.post(ask(content, { user: act === "one-shot" ? undefined : user }))).text();
  }

  /** What the mock has sent that Claude Code reports, and what it does not report. */
  sent(): { readonly reported: Tally; readonly unreported: Tally } {
    const reported: Tally = {};
    const unreported: Tally = {};
    for (const request of this.#world.mock.requests) {
      const { sent, body } = request;
      if (!sent) continue;
      // Over stream-json Claude Code reports the tokens of a summary. It does not report how many calls it took.
      if (isCompaction(request) && this.#engine === "stream") add(reported, body.model, { ...sent, model_calls: 0 });
      else add(isReported(request) ? reported : unreported, body.model, { ...sent, model_calls: 1 });
    }
    return { reported, unreported };
  }

  /** What the server has counted, once it has read the transcripts of all turns that were cut off or recorded late. */
  async counted(): Promise<Tally> {
    await this.#restart("SIGTERM");
    const path = join(this.folder, "state/synthesis.db");
    using database = new Database(path, { readonly: true });
    const open = database.query("SELECT id FROM turns WHERE usage_open");
    while (open.get() !== null) await Bun.sleep(50);
    const tally: Tally = {};
    for (const { name, ...figures } of (await this.#report("model")).data) {
      if (figures.model_calls > 0) add(tally, `${name}`, figures);
    }
    return tally;
  }

  /** The same as one sum of all days. */
  async countedByDay(): Promise<Figures> {
    const tally: Tally = {};
    for (const figures of (await this.#report("day")).data) add(tally, "all", figures);
    return tally.all as Figures;
  }

  /** The turns of which the server has not counted as many output tokens of their own model as the API has sent. */
  differences(): readonly object[] {
    using database = new Database(join(this.folder, "state/synthesis.db"), { readonly: true });
    const turns = database
      .query<{ id: string; usage: string | null }, []>("SELECT id, model_usage AS usage FROM turns")
      .all();
    return turns.flatMap(({ id, usage }) => {
      const calls = this.#world.mock.requests.filter((one) => one.asked.includes(id) && one.sent && isReported(one));
      const sent = calls.map((one) => one.sent?.output_tokens ?? 0);
      const counted = JSON.parse(usage ?? "[]").at(0)?.output ?? 0;
      if (counted === sent.reduce((sum, one) => sum + one, 0)) return [];
      return [{ id, message: /ACT \S+ \d+/.exec(calls[0]?.asked ?? "")?.[0], counted, sent }];
    });
  }

  /** What the turns of a conversation cost, in US dollars; null when that is known of none. */
  async costOf(user: string): Promise<number | null | undefined> {
    return (await this.#report("conversation")).data.find(({ name }) => name === `user:${user}`)?.cost_usd;
  }

  /** Has the server's state and Claude's transcripts. */
  get folder(): string {
    return this.#world.claude.base;
  }

  /** Stops the server, and keeps the folder. */
  async stop(): Promise<void> {
    await this.#server.stop();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.stop();
    await this.#world[Symbol.asyncDispose]();
  }

  async #report(by: UsageBy): Promise<UsageReport> {
    const headers = { authorization: `Bearer ${controlKey(this.#world)}` };
    const response = await fetch(`${this.#server.url}/v1/usage?by=${by}`, { headers });
    return (await response.json()) as UsageReport;
  }

  async #askWithTool(content: string): Promise<void> {
    const messages: object[] = [{ role: "user", content }];
    const more = { user: undefined, tools: [LOOK], messages };
    const chunks = await Array.fromAsync(events(await this.#server.post(ask("", more))));
    const calls = chunks.flatMap((chunk) =>
      chunk === "[DONE]" || "error" in chunk ? [] : (chunk.choices[0]?.delta.tool_calls ?? []),
    );
    messages.push({ role: "assistant", content: null, tool_calls: calls });
    messages.push({ role: "tool", tool_call_id: calls[0]?.id, content: "seen" });
    await (await this.#server.post(ask("", more))).text();
  }

  /** Waits until the client has the first half of the answer, and ends the turn there. */
  async #cutOff(act: "disconnect" | "SIGTERM" | "SIGKILL", content: string, user: string): Promise<void> {
    const client = new AbortController();
    const answer = texts(await this.#server.post(ask(content, { user }), {}, client.signal));
    let seen = "";
    while (!seen.includes(HALF.trim())) seen += (await answer.next()).value ?? "";
    const output = this.#outputs.get(content);
    // A process that is killed records no more.
    while (!(await this.#isRecorded(`"output_tokens":${output}`))) await Bun.sleep(20);
    const held = this.#world.mock.requests.findLast(({ asked }) => asked.includes(content));
    if (act === "disconnect") client.abort();
    else await this.#restart(act);
    await held?.closed;
  }

  async #restart(signal: "SIGTERM" | "SIGKILL"): Promise<void> {
    await this.#server.stop(signal);
    this.#server = await startServer(this.#world.serverEnv);
  }

  async #isRecorded(figure: string): Promise<boolean> {
    const cwd = this.#world.claude.base;
    for await (const path of new Bun.Glob("**/*.jsonl").scan({ cwd, dot: true })) {
      if ((await Bun.file(join(cwd, path)).text()).includes(figure)) return true;
    }
    return false;
  }

  async *#answer(request: ModelRequest): AsyncGenerator<Step> {
    const { asked, toolResults } = request;
    const [message = "", act = "", turn] = /ACT (\S+) (\d+)/.exec(asked) ?? [];
    const attempt = (this.#attempts.get(message) ?? 0) + 1;
    this.#attempts.set(message, attempt);
    if (isCompaction(request)) {
      yield* [usage(this.#figures(message)), text("<summary>All is well.</summary>")];
      return;
    }
    if (act === "refused") {
      yield apiError(400, "invalid_request_error", "no");
      return;
    }
    if (act === "overloaded" && attempt < 3) {
      const [status, error] = attempt === 1 ? [429, "rate_limit_error"] : [529, "overloaded_error"];
      yield apiError(Number(status), `${error}`, "busy", { "retry-after": "0" });
      return;
    }
    const figures = this.#figures(isCutOff(act) && toolResults.length > 0 ? "cut off" : message);
    yield usage(act === "full" ? { ...figures, input_tokens: 990_000 } : figures);
    if (act === "broken" && attempt === 1) {
      yield* [text("Half of it"), apiError(500, "api_error", "broken")];
    } else if (toolResults.length === 0 && act === "delegate") {
      const prompt = `ACT subagent ${turn}`;
      yield toolUse("Agent", { description: "d", prompt, subagent_type: "general-purpose", model: "haiku" });
    } else if (toolResults.length === 0 && act === "unnamed") yield toolUse("mcp__plugin_synthesis_chat__look", {});
    else if (toolResults.length === 0 && (isCutOff(act) || act === "bash" || act === "subagent")) {
      yield toolUse("Bash", { command: "true" });
    } else if (isCutOff(act)) {
      yield text(HALF);
      await request.closed;
    } else yield text(`You said: ${message}`);
  }

  #figures(message: string) {
    this.#calls += 1;
    const output = FIRST_OUTPUT + this.#calls;
    this.#outputs.set(message, output);
    return {
      input_tokens: 1_000 + this.#calls,
      cache_read_input_tokens: 2_000 + this.#calls,
      cache_creation_input_tokens: 30 + this.#calls,
      output_tokens: output,
    };
  }
}

/** Claude's own request for a summary of the conversation. */
const isCompaction = ({ body }: ModelRequest): boolean => JSON.stringify(body.messages.at(-1)).includes("<summary>");

/**
 * Claude Code records the tokens of an answer that it stops, as far as they have arrived. It does not record those of a
 * stream that ends with an error, of an answer in which its process is killed, and in a terminal those of
 * the summary when it compacts.
 */
const isReported = (request: ModelRequest): boolean =>
  !isCompaction(request) &&
  (request.end === "complete" || (request.end === "aborted" && !request.asked.includes("ACT SIGKILL")));

function add(tally: Tally, model: string, figures: Figures): void {
  const sum = tally[model];
  tally[model] = Object.fromEntries(KINDS.map((kind) => [kind, (sum?.[kind] ?? 0) + figures[kind]])) as Figures;
}

/** The sum of all models. */
export function totalOf(tally: Tally): Figures {
  const total: Tally = {};
  for (const figures of Object.values(tally)) add(total, "all", figures);
  return total.all as Figures;
}
