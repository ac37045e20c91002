/** A turn with nothing real around it: a clock that the test moves, and a process that the test plays. */
import { afterAll } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { pathsFor } from "../../src/config/paths.ts";
import { type Config, defaults } from "../../src/config/schema.ts";
import type { ResponsePart } from "../../src/core/response-part.ts";
import type { SentTurn, TurnStore } from "../../src/store/turns.ts";
import { ResponseStream } from "../../src/turn/response-stream.ts";
import { TurnRunner } from "../../src/turn/runner.ts";
import type { TurnProcess } from "../../src/turn/turn-context.ts";
import type { ToolResult } from "../../src/turn/turn-state.ts";
import type { HookBody } from "../../src/wire/hooks.ts";
import { ManualClock } from "../support/manual-clock.ts";

/** The prompt that brings the turn's message. */
export const PROMPT = "p";

const base = mkdtempSync(join(tmpdir(), "synthesis-turn-"));
afterAll(() => rmSync(base, { recursive: true, force: true }));

/** A process without a Claude. It records what the turn does to it. */
class FakeProcess implements TurnProcess {
  readonly pid = 1;
  state: TurnProcess["state"] = "ready";
  status: TurnProcess["status"] = null;
  statusRevision = 0;
  lastOutputAt: number;
  stopHooks: number | null = null;
  hasOwnRetries = false;
  mayContinueAfterStop = false;
  isConnected = true;
  /** One entry for each time the message was sent: whether it was marked as sent again. */
  readonly sent: { readonly again: boolean }[] = [];
  /** What was done to Claude, in order. */
  readonly actions: ("interrupt" | "stop" | "kill")[] = [];
  readonly results = new Map<string, ToolResult>();
  readonly tools = {
    answer: (id: string, content: ToolResult["content"], isError: boolean) =>
      void this.results.set(id, { content, isError }),
  };
  readonly #clock: ManualClock;

  constructor(clock: ManualClock) {
    this.#clock = clock;
    this.lastOutputAt = clock.now();
  }

  noteOutput(): void {
    this.lastOutputAt = this.#clock.now();
  }

  send(_id: string, _chat: string, _text: string, _attachments: object, again = false): boolean {
    if (this.isConnected) this.sent.push({ again });
    return this.isConnected;
  }

  reportedUsage() {
    return null;
  }

  reportedRows() {
    return null;
  }

  interrupt(): void {
    this.actions.push("interrupt");
  }

  stop() {
    this.actions.push("stop");
    return Promise.resolve({ code: 0, signal: null });
  }

  kill(): void {
    this.actions.push("kill");
  }

  setStatus(status: "idle" | "busy"): void {
    this.status = { status, since: this.#clock.wallTime() };
    this.statusRevision += 1;
  }
}

/** The turns table in memory: the row of the one turn, as far as it was written. */
function fakeStore(failsToInsert: boolean) {
  const row: Partial<SentTurn> & Record<string, unknown> = {};
  const unused = () => {
    throw new Error("a turn does not read the table");
  };
  const turns: TurnStore = {
    delivered: unused,
    find: unused,
    deleteResponse: unused,
    latest: unused,
    totalUsage: unused,
    flush: unused,
    changes: 0,
    insertSent: async (turn) => {
      if (failsToInsert) throw new Error("disk full");
      Object.assign(row, turn, { state: "sent" });
    },
    markReceived: (_id, _session, receivedAt, promptId) =>
      void Object.assign(row, { state: "running", receivedAt, promptId }),
    markEnded: (_id, end) => void Object.assign(row, end),
    setTools: (_id, tools) => void Object.assign(row, { tools }),
    setUsage: (_id, usage, isUsageFinal) => void Object.assign(row, { usage, isUsageFinal }),
    count: unused,
    addCost: unused,
    openUsage: unused,
    onCounted: () => {},
    closeUsage: unused,
  };
  return { row, turns };
}

/** Collects what a client receives through a response. */
function client(response = new ResponseStream()) {
  const parts: ResponsePart[] = [];
  // A turn that fails before its answer has begun also rejects this.
  response.opened.catch(() => {});
  void (async () => {
    for await (const more of response.parts()) parts.push(...more);
  })();
  return {
    response,
    /** The token usage that was sent last. */
    get usage() {
      return parts.findLast((part) => part.type === "usage")?.usage;
    },
    /** The text, and how the answer ended: `■`, `(ids of the calls)`, or `✗code`. */
    get received(): string {
      return parts
        .map((part) => {
          if (part.type === "text") return part.text;
          if (part.type === "finish") return "■";
          if (part.type === "calls") return `(${part.calls.length})`;
          return part.type === "error" ? `✗${part.error.code}` : "";
        })
        .join("");
    },
  };
}

interface Options {
  readonly config?: Partial<Config>;
  readonly isConnected?: boolean;
  readonly failsToInsert?: boolean;
}

/** A turn that was created and not started. */
export function createTurn({ config = {}, isConnected = true, failsToInsert = false }: Options = {}) {
  const clock = new ManualClock();
  const process = new FakeProcess(clock);
  process.isConnected = isConnected;
  const { row, turns } = fakeStore(failsToInsert);
  const first = client();
  let transcript: string | null = null;
  let parks = 0;
  const runner = new TurnRunner({
    config: { ...defaults(pathsFor("/none")), ...config },
    turns,
    process,
    response: first.response,
    sessionKey: "user:test",
    claudeSession: "session",
    traceId: null,
    message: {
      content: "hello",
      history: [],
      attachments: {},
      isContinuation: false,
      fingerprints: ["hello"],
      hadHistory: false,
      dropped: 0,
      volatile: null,
    },
    transcriptAt: 0,
    isParallel: true,
    progress: () => null,
    onParked: () => {
      parks += 1;
    },
    findTranscript: async () => transcript,
    clock,
  });
  const common = { session_id: "session", transcript_path: "/none/none/none.jsonl", prompt_id: PROMPT };
  const hook = (hook: HookBody) => runner.handle({ type: "hook", hook });
  return {
    runner,
    clock,
    process,
    row,
    client: first,
    newClient: () => client(),
    get parks() {
      return parks;
    },
    /** Lets everything happen that needs no time. */
    settle: () => clock.pass(0).then(() => setImmediate()),
    /** Writes rows to the turn's transcript. */
    record: (...rows: object[]) => {
      const folder = join(base, crypto.randomUUID(), "folder");
      mkdirSync(folder, { recursive: true });
      transcript = join(folder, "session.jsonl");
      writeFileSync(transcript, rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
    },
    /** The transcript's row of the turn's message. */
    promptRow: () => ({ type: "user", promptId: PROMPT, message: { content: channel(runner.id) } }),
    receive: () => hook({ ...common, hook_event_name: "UserPromptSubmit", prompt: channel(runner.id) }),
    show: (text: string, final = true) =>
      hook({ ...common, hook_event_name: "MessageDisplay", message_id: text, index: 0, final, delta: text }),
    useTool: (id: string) =>
      hook({ ...common, hook_event_name: "PreToolUse", tool_name: "Bash", tool_use_id: id, tool_input: {} }),
    call: (id: string) => runner.handle({ type: "call", call: { id, name: "weather", arguments: "{}" } }),
    endCall: (id: string) => hook({ ...common, hook_event_name: "PostToolUse", tool_name: "weather", tool_use_id: id }),
    stop: (last: string) => hook({ ...common, hook_event_name: "Stop", last_assistant_message: last }),
    /** Claude's session file says that it works, or does not. */
    changeStatus: (status: "idle" | "busy") => {
      process.setStatus(status);
      runner.handle({ type: "status" });
    },
    exit: () => {
      process.state = "exited";
      runner.handle({ type: "exit", exit: { code: null, signal: "SIGKILL" } });
    },
  };
}

/** A turn whose message was sent. */
export async function startTurn(options: Options = {}) {
  const turn = createTurn(options);
  expectStarted(await turn.runner.start());
  return turn;
}

/** A turn whose message Claude has received. */
export async function receivedTurn(options: Options = {}) {
  const turn = await startTurn(options);
  turn.receive();
  return turn;
}

/** A turn that is parked on the call `a`. */
export async function parkedTurn(options: Options = {}) {
  const turn = await receivedTurn(options);
  turn.call("a");
  await turn.clock.pass(500);
  return turn;
}

function expectStarted(started: boolean): void {
  if (!started) throw new Error("the turn did not start");
}

const channel = (id: string) =>
  `<channel source="plugin:synthesis:chat" message_id="${id}" chat_id="c">\nhello\n</channel>`;
