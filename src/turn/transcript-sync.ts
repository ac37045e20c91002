/**
 * Reads Claude's transcript for one turn: what no hook reports, and what a lost hook reported. A transcript that cannot
 * be read is logged, and the turn continues with what its hooks have reported.
 */

import { getLogger } from "@logtape/logtape";
import { callWith, type ModelCall } from "../claude/token-usage.ts";
import {
  findPrompt,
  readCalls,
  readFailure,
  readInterruption,
  readModelCalls,
  readRefusedPrompt,
  readSeam,
  readSubagentCalls,
  readTurn,
} from "../claude/transcript/reader.ts";
import type { Row } from "../claude/transcript/rows.ts";
import {
  callsTogetherWith,
  failureIn,
  modelCalls,
  type RefusedPrompt,
  type TurnRecord,
} from "../claude/transcript/turn-record.ts";
import { seamAfter, textsOfTurn } from "../claude/transcript/turn-texts.ts";
import { collectCallBatch } from "./call-batch.ts";
import { awaitsJoin } from "./text-assembler.ts";
import type { TurnContext } from "./turn-context.ts";
import { isCollectingCalls } from "./turn-state.ts";

const log = getLogger(["synthesis", "turn"]);

/** How long Claude may take to record a failed request, or a message that another one continues. It takes some 100 ms. */
const RECORD_MS = 1_000;
/** How long Claude may take to record a message with calls. After that the calls that have arrived go out. */
const RECORD_CALLS_MS = 10_000;
/** How long a process may take to report the rest of a message, which follows within some ms. */
const ROWS_MS = 1_000;
/** How long Claude may take to record that a hook has refused the message. */
const RECORD_REFUSAL_MS = 3_000;

export interface TranscriptSource {
  /**
   * Finds the transcript; null while there is none.
   * @param named the path that a hook has named, null when none has; it counts only if a transcript can be there
   */
  readonly findTranscript: (named: string | null) => Promise<string | null>;
  /** Bytes of the transcript that are older than the turn. */
  readonly transcriptAt: number;
  /** Whether the client accepts several calls at once. */
  readonly isParallel: boolean;
}

export class TranscriptSync {
  readonly #turn: TurnContext;
  readonly #source: TranscriptSource;
  /** Where the hooks say that the transcript is. */
  #named: string | null = null;
  /** Resolves with the next change of the turn's state, and when the process has reported more rows. */
  #changed = Promise.withResolvers<void>();
  #isCollectingCalls = false;
  #isReadingJoin = false;

  constructor(turn: TurnContext, source: TranscriptSource) {
    this.#turn = turn;
    this.#source = source;
  }

  notePath(path: string): void {
    this.#named = path;
  }

  /** Reads what the turn's new state needs. @param isSubagentCall whether a call is a subagent's, by Claude's id */
  noteChange(isSubagentCall: (id: string) => boolean): void {
    const state = this.#turn.state();
    this.noteRows();
    if (isCollectingCalls(state) && !this.#isCollectingCalls) void this.#collectCalls(isSubagentCall);
    if (awaitsJoin(state.answer) && !this.#isReadingJoin) void this.#readJoin();
  }

  /** The process has reported more rows of the turn. */
  noteRows(): void {
    const { resolve } = this.#changed;
    this.#changed = Promise.withResolvers();
    resolve();
  }

  /** Claude's id of the prompt that carried the turn's message; null when Claude has not recorded it. */
  findPrompt(): Promise<string | null> {
    return this.#read(null, (path, id, from) => findPrompt(path, id, from));
  }

  /** The turn's whole record, once Claude has written it; null when it cannot be read. */
  async readTurn(named: string | null): Promise<TurnRecord | null> {
    const rows = this.#turn.process.reportedRows(this.#turn.id);
    if (rows) return { texts: textsOfTurn(rows), stopHooks: null, calls: await this.#reportedCalls(rows) };
    return this.#read(named, (path, id, from) => readTurn(path, id, from));
  }

  /** The turn's model calls up to the tool use `end`, null for all; waits up to `ms` for them. */
  async readModelCalls(end: string | null, ms: number): Promise<readonly ModelCall[] | null> {
    const rows = this.#turn.process.reportedRows(this.#turn.id);
    if (rows && (end === null || hasCompleteCall(rows, end))) return this.#reportedCalls(rows);
    return this.#read(this.#named, (path, id, from) => readModelCalls(path, id, from, end, ms));
  }

  /** The model calls in rows that a process has reported. It does not report all calls of its subagents. */
  async #reportedCalls(rows: readonly Row[]): Promise<readonly ModelCall[]> {
    const own = rows.filter((row) => row.type !== "assistant" || !row.isSidechain);
    const subagents = own.length < rows.length ? await this.#read(null, readSubagentCalls) : null;
    return [...modelCalls(own), ...(subagents ?? [])];
  }

  /** Reads how the model request failed, and ends the turn with that. */
  async readFailure(named: string): Promise<void> {
    const { process, clock, dispatch } = this.#turn;
    const rows = process.reportedRows(this.#turn.id);
    const record = rows ? failureIn(rows) : await this.#readWithin(named, RECORD_MS, readFailure);
    // At a plan limit Claude Code shows a menu and takes no messages. The next message resumes it without the menu.
    if (record && record.failure.window !== null) void process.stop();
    dispatch({ type: "failure", record, now: clock.wallTime() });
  }

  /** The refusal of the message by a user's hook; null when none is recorded in time. */
  readRefusal(): Promise<RefusedPrompt | null> {
    return this.#readWithin(this.#named, RECORD_REFUSAL_MS, readRefusedPrompt);
  }

  /**
   * Ends the turn when Claude has recorded its interruption, which is the last thing that it writes of a turn. Its
   * status becomes idle earlier, but a message sent in between is recorded before the interrupted tool's result.
   * @param signal ends the wait
   */
  async awaitInterruption(signal: AbortSignal): Promise<void> {
    const isRecorded = await this.#read(null, (path, id, from) => readInterruption(path, id, from, signal));
    if (isRecorded) this.#turn.dispatch({ type: "idle" });
  }

  /** Collects the calls that Claude makes in one message. */
  async #collectCalls(isSubagentCall: (id: string) => boolean): Promise<void> {
    const { state, clock, dispatch } = this.#turn;
    this.#isCollectingCalls = true;
    const first = state().calls.find(({ isWithClient }) => !isWithClient)?.id ?? "";
    // A subagent's messages are not in this transcript.
    const together = isSubagentCall(first)
      ? null
      : await this.#findRecorded(
          RECORD_CALLS_MS,
          (rows) => (hasCompleteCall(rows, first) ? callsTogetherWith(rows, first) : null),
          (path, id, from, signal) => readCalls(path, id, from, first, signal),
        );
    await collectCallBatch(state, () => this.#changed.promise, together, clock);
    this.#isCollectingCalls = false;
    dispatch({ type: "calls_collected", order: together ?? [], isParallel: this.#source.isParallel });
  }

  /** Reads whether the message that waits continues the text before it. If that cannot be read, it does not. */
  async #readJoin(): Promise<void> {
    const { state, dispatch } = this.#turn;
    this.#isReadingJoin = true;
    const { bareText } = state().answer;
    const found = await this.#findRecorded(
      RECORD_MS,
      (rows) => seamAfter(rows, bareText),
      (path, id, from, signal) => readSeam(path, id, from, bareText, signal),
    );
    this.#isReadingJoin = false;
    dispatch({ type: "join", isContinuation: found?.isSeam ?? false });
  }

  /** Looks in the rows that the process reports, else in the transcript, which is followed for `ms` at most. */
  async #findRecorded<T>(
    ms: number,
    inRows: (rows: readonly Row[]) => T | null,
    inTranscript: (path: string, id: string, from: number, signal: AbortSignal) => Promise<T | null>,
  ): Promise<T | null> {
    const { id, process, clock } = this.#turn;
    if (process.reportedRows(id) === null) return this.#readWithin(this.#named, ms, inTranscript);
    const timeout = Promise.withResolvers<"timeout">();
    const cancel = clock.after(ROWS_MS, () => timeout.resolve("timeout"));
    try {
      for (;;) {
        const found = inRows(process.reportedRows(id) ?? []);
        if (found !== null) return found;
        if ((await Promise.race([this.#changed.promise, timeout.promise])) === "timeout") return null;
      }
    } finally {
      cancel();
    }
  }

  /** As `#read`, and gives up after `ms`. */
  async #readWithin<T>(
    named: string | null,
    ms: number,
    read: (path: string, id: string, from: number, signal: AbortSignal) => Promise<T | null>,
  ): Promise<T | null> {
    const timeout = new AbortController();
    // Without a reason the signal would create an exception, which is slow.
    const cancel = this.#turn.clock.after(ms, () => timeout.abort("timeout"));
    const found = await this.#read(named, (path, id, from) => read(path, id, from, timeout.signal));
    cancel();
    return found;
  }

  async #read<T>(
    named: string | null,
    read: (path: string, id: string, from: number) => Promise<T | null>,
  ): Promise<T | null> {
    const { id, sessionKey } = this.#turn;
    try {
      const path = await this.#source.findTranscript(named);
      return path === null ? null : await read(path, id, this.#source.transcriptAt);
    } catch (error) {
      log.warning("transcript not readable: {error}", { session: sessionKey, turn: id, error });
      return null;
    }
  }
}

/** Whether the message with this tool use is complete. A tool may run before the figures of its message are final. */
const hasCompleteCall = (rows: readonly Row[], toolUse: string): boolean =>
  callWith(modelCalls(rows.filter((row) => row.type !== "assistant" || row.message.stop_reason)), toolUse) >= 0;
