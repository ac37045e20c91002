/**
 * claude's own record of a session, a JSONL file: exact texts and token figures of a turn. A row is
 * written for every content block, and rows of one message carry the same `message.id` and `usage`.
 */
import { existsSync, readdirSync, rmSync } from "node:fs";
import { homedir } from "node:os";
import { basename, dirname, join } from "node:path";
import { getLogger } from "@logtape/logtape";
import { z } from "zod";
import { JSON_BOUNDS, type JsonBounds, parseJson } from "../core/json-gate.ts";
import { watchChanges } from "../core/watch-file.ts";
import { TOOL_PREFIX } from "../plugin/manifest.ts";
import { channelMessageId } from "../wire/hooks.ts";
import { type ModelFailure, readFailureRow } from "./model-failure.ts";
import { cutsText } from "./stop-reason.ts";
import { readPrompts, readRows, readSubagentRows } from "./transcript-file.ts";
import { callWith, type ModelCall } from "./turn-usage.ts";

const log = getLogger(["synthesis", "transcript"]);

/**
 * How long the rows of a finished turn are waited for. The last is on disk some 120 ms after `Stop`, on a busy machine
 * much later; nobody waits for it but a client that wants the figures, and its answer is complete by then.
 */
const WAIT_MS = 3_000;

/** How often a folder is looked for that claude is about to make. */
const FOLDER_MS = 50;

export interface TurnRecord {
  /**
   * The text of each assistant message, in order; messages without text are left out. One that was cut and what
   * continues it are one text.
   */
  readonly texts: readonly string[];
  /** How many Stop hooks have run at its end, ours among them; null when that is not recorded. */
  readonly stopHooks: number | null;
  /** Oldest first; those of subagents, which have files of their own, are the last. */
  readonly calls: readonly ModelCall[];
}

const row = z.discriminatedUnion("type", [
  z.looseObject({
    type: z.literal("user"),
    promptId: z.string().optional(),
    isSidechain: z.boolean().optional(),
    message: z.looseObject({ content: z.unknown() }),
  }),
  z.looseObject({
    type: z.literal("assistant"),
    isSidechain: z.boolean().optional(),
    /** claude's own words about a failed request. */
    isApiErrorMessage: z.boolean().optional(),
    message: z.looseObject({
      id: z.string(),
      model: z.string().optional(),
      /** Why the model ended the message. */
      stop_reason: z.string().nullish(),
      content: z.array(
        z.looseObject({
          type: z.string(),
          text: z.string().optional(),
          id: z.string().optional(),
          name: z.string().optional(),
          input: z.unknown().optional(),
        }),
      ),
      usage: z.looseObject({
        input_tokens: z.number(),
        output_tokens: z.number(),
        cache_read_input_tokens: z.number().nullish(),
        cache_creation_input_tokens: z.number().nullish(),
      }),
    }),
  }),
  z.looseObject({
    type: z.literal("system"),
    subtype: z.string().optional(),
    /** Of a `stop_hook_summary`. */
    hookCount: z.number().optional().catch(undefined),
    /** A hook has refused the prompt. Claude Code keeps it in the conversation only where `promptKept` says so. */
    promptSubmitEnding: z
      .looseObject({ ending: z.looseObject({ reason: z.string().catch("") }), promptKept: z.boolean() })
      .optional()
      .catch(undefined),
  }),
]);

type Row = z.infer<typeof row>;

/** The rows of one turn: the prompt that brought our message, and what follows up to the next prompt. */
function* rowsOfTurn(jsonl: string, messageId: string): Generator<Row> {
  let inTurn = false;
  for (const line of jsonl.split("\n")) {
    // Rows of other turns are not parsed: there may be many.
    if (!inTurn && !line.includes("message_id=")) continue;
    const parsed = row.safeParse(parseLine(line));
    if (!parsed.success) continue;
    const prompt = promptOf(parsed.data);
    if (prompt !== null) {
      if (inTurn) return;
      inTurn = prompt === messageId;
    }
    if (inTurn) yield parsed.data;
  }
}

/** Claude records whole results of its tools, images and files among them. */
const ROW_BOUNDS: JsonBounds = { ...JSON_BOUNDS, stringBytes: Number.POSITIVE_INFINITY };

function parseLine(line: string): unknown {
  try {
    return parseJson(line, ROW_BOUNDS);
  } catch {
    // It goes beyond a bound, or the last line may be half written; it is read again with the next change.
    return null;
  }
}

/** The message id in a row that is a channel prompt. */
const promptOf = (row: Row): string | null =>
  row.type === "user" && typeof row.message.content === "string" ? channelMessageId(row.message.content) : null;

/**
 * The record of one turn, as far as `jsonl` has it.
 * @returns null when the turn is not in it, or not complete yet
 */
export function findTurn(jsonl: string, messageId: string): TurnRecord | null {
  let complete = false;
  let stopHooks: number | null = null;
  const rows = [...rowsOfTurn(jsonl, messageId)];
  for (const row of rows) {
    complete ||= isTurnEnd(row);
    if (row.type === "system") stopHooks = row.hookCount ?? stopHooks;
  }
  if (!complete) return null;
  return { texts: joined(recordedTexts(rows)), stopHooks, calls: modelCalls(rows) };
}

const isTurnEnd = (row: Row): boolean => row.type === "system" && row.subtype === "turn_duration";

/** The model that claude names in messages of its own, for example about a failed request. They cost nothing. */
const SYNTHETIC = "<synthetic>";

function modelCalls(rows: Iterable<Row>): ModelCall[] {
  const calls = new Map<string, ModelCall>();
  for (const row of rows) {
    if (row.type !== "assistant" || row.isApiErrorMessage || row.message.model === SYNTHETIC) continue;
    const { id, content, usage } = row.message;
    const cached = usage.cache_read_input_tokens ?? 0;
    const input = usage.input_tokens + cached + (usage.cache_creation_input_tokens ?? 0);
    const toolUses = content.filter(({ type }) => type === "tool_use");
    calls.set(id, {
      // Each row of a message has its usage; the last one is complete.
      usage: { input, cached, output: usage.output_tokens },
      toolUses: [...(calls.get(id)?.toolUses ?? []), ...toolUses],
      isSubagent: row.isSidechain === true,
    });
  }
  return [...calls.values()];
}

/** The text of one assistant message. */
interface RecordedText {
  readonly text: string;
  /** Why the model ended it; null when that is not recorded. */
  readonly stopReason: string | null;
  /** What Claude Code has told the model after it; null when nothing is recorded behind it. */
  readonly next: string | null;
}

/** Whether the next message goes on in the middle of this one. Where a tool's call was cut its text was whole. */
const isCut = ({ stopReason, next }: RecordedText): boolean =>
  cutsText(stopReason) && !/inside a tool call/.test(next ?? "");

/** The texts of a turn's assistant messages, in order; messages without text are left out. */
function recordedTexts(rows: Iterable<Row>): readonly RecordedText[] {
  const texts = new Map<string, RecordedText>();
  let newest: string | null = null;
  for (const row of rows) {
    if (row.type === "user") {
      const last = newest === null ? undefined : texts.get(newest);
      const { content } = row.message;
      if (last?.next === null)
        texts.set(newest as string, { ...last, next: typeof content === "string" ? content : "" });
    }
    if (row.type !== "assistant" || row.isSidechain || row.isApiErrorMessage) continue;
    const { id, content, stop_reason } = row.message;
    const before = texts.get(id);
    const text = content.map((block) => (block.type === "text" ? (block.text ?? "") : "")).join("");
    texts.set(id, {
      text: (before?.text ?? "") + text,
      stopReason: stop_reason ?? before?.stopReason ?? null,
      next: before?.next ?? null,
    });
    newest = id;
  }
  return [...texts.values()].filter(({ text }) => text !== "");
}

/** The texts, with one that was cut and its continuation in one. */
function joined(texts: readonly RecordedText[]): readonly string[] {
  const whole: string[] = [];
  texts.forEach(({ text }, at) => {
    const before = texts[at - 1];
    if (before && isCut(before)) whole.push((whole.pop() ?? "") + text);
    else whole.push(text);
  });
  return whole;
}

/**
 * Whether what claude writes behind `shown` goes on in the middle of it.
 * @param shown the turn's texts so far, one directly behind the other
 * @returns null when `jsonl` does not tell yet
 */
export function findSeam(jsonl: string, messageId: string, shown: string): { readonly isSeam: boolean } | null {
  const texts = recordedTexts(rowsOfTurn(jsonl, messageId));
  let before = "";
  for (const [at, recorded] of texts.entries()) {
    before += recorded.text;
    if (before.length < shown.length) continue;
    // Shown up to the middle of a message: its stream broke off, and claude shows the rest as another one.
    if (before.length > shown.length) return { isSeam: before.startsWith(shown) };
    const isKnown = recorded.stopReason !== null && (recorded.next !== null || !cutsText(recorded.stopReason));
    return isKnown || at < texts.length - 1 ? { isSeam: isCut(recorded) } : null;
  }
  return null;
}

/** A hook of the user's has refused our message. */
export interface RefusedPrompt {
  /** The hook's reason, for the person; empty when it gave none. */
  readonly reason: string;
  /** claude has the message none the less. */
  readonly isKept: boolean;
}

/** Whether a `UserPromptSubmit` hook has refused the message. Null when `jsonl` does not say so. */
export function findRefusedPrompt(jsonl: string, messageId: string): RefusedPrompt | null {
  for (const row of rowsOfTurn(jsonl, messageId)) {
    if (row.type === "system" && row.promptSubmitEnding) {
      return { reason: row.promptSubmitEnding.ending.reason, isKept: true };
    }
  }
  // One that is not kept has no row of its own: the refusal quotes it.
  for (const line of jsonl.split("\n")) {
    if (!line.includes("promptSubmitEnding") || !line.includes(messageId)) continue;
    const parsed = row.safeParse(parseLine(line));
    const ending = parsed.success && parsed.data.type === "system" ? parsed.data.promptSubmitEnding : undefined;
    if (ending) return { reason: ending.ending.reason, isKept: ending.promptKept };
  }
  return null;
}

/** What claude has recorded of a turn whose last model request failed. */
export interface FailedTurn {
  readonly failure: ModelFailure;
  /** As in a `TurnRecord`. */
  readonly texts: readonly string[];
}

/** The failure of a turn. Null when `jsonl` has none. */
export function findFailure(jsonl: string, messageId: string): FailedTurn | null {
  const rows = [...rowsOfTurn(jsonl, messageId)];
  const failed = rows.findLast((row) => row.type === "assistant" && row.isApiErrorMessage && !row.isSidechain);
  const failure = failed ? readFailureRow(failed) : null;
  return failure ? { failure, texts: joined(recordedTexts(rows)) } : null;
}

/**
 * The model calls of a turn that need not be complete.
 * @param end the tool use up to which they are wanted, as in `AnswerSpan`
 * @returns null while the call with this tool use, or for null the end of the turn, is not in `jsonl`
 */
export function findModelCalls(jsonl: string, messageId: string, end: string | null): readonly ModelCall[] | null {
  const rows = [...rowsOfTurn(jsonl, messageId)];
  const calls = modelCalls(rows);
  const isThere = end === null ? rows.some((row) => isTurnEnd(row) || isBreak(row)) : callWith(calls, end) >= 0;
  return isThere ? calls : null;
}

/** The last row of a turn that has failed or was interrupted. */
const isBreak = (row: Row): boolean =>
  row.type === "assistant" ? row.isApiErrorMessage === true : row.type === "user" && isInterruption(row);

/**
 * The ids of all calls of a client's tools in the message that has this one. claude records a message when it is complete.
 * @returns null when it is not in `jsonl`
 */
export function findCalls(jsonl: string, messageId: string, callId: string): readonly string[] | null {
  const calls = new Map<string, string[]>();
  for (const row of rowsOfTurn(jsonl, messageId)) {
    if (row.type !== "assistant") continue;
    const { id, content } = row.message;
    const ids = content.flatMap(({ type, id: call, name }) =>
      type === "tool_use" && call !== undefined && name?.startsWith(TOOL_PREFIX) ? [call] : [],
    );
    calls.set(id, [...(calls.get(id) ?? []), ...ids]);
  }
  return [...calls.values()].find((ids) => ids.includes(callId)) ?? null;
}

/** Whether claude has recorded that this turn was interrupted. */
export function findInterruption(jsonl: string, messageId: string): true | null {
  for (const row of rowsOfTurn(jsonl, messageId)) {
    if (row.type === "user" && isInterruption(row)) return true;
  }
  return null;
}

/** A text block of a row of its own; words in a message or a tool's result are not at this place. */
const isInterruption = ({ message }: Row & { type: "user" }): boolean =>
  interruption.safeParse(message.content).success;

const interruption = z.tuple([
  z.looseObject({ type: z.literal("text"), text: z.string().startsWith("[Request interrupted by user") }),
]);

/** The record of a turn, as soon as claude has written all of it; null when it is not there in time. */
export async function readTurn(path: string, messageId: string, offset: number): Promise<TurnRecord | null> {
  const find = (jsonl: string) => findTurn(jsonl, messageId);
  // Where it is there at once, no timer is left to run for seconds.
  const found = (await look(path, offset, find)) ?? (await follow(path, offset, find, AbortSignal.timeout(WAIT_MS)));
  return found && { ...found, calls: [...found.calls, ...(await subagentCalls(path, messageId, offset))] };
}

/**
 * `findModelCalls` as soon as claude has recorded them, with those of subagents.
 * @param ms how long they are waited for; 0 for not at all
 * @returns after that time what there is of a turn that has ended, and null for an answer within a turn
 */
export async function readModelCalls(
  path: string,
  messageId: string,
  offset: number,
  end: string | null,
  ms: number,
): Promise<readonly ModelCall[] | null> {
  const find = (jsonl: string) => findModelCalls(jsonl, messageId, end);
  const found =
    (await look(path, offset, find)) ?? (ms > 0 ? await follow(path, offset, find, AbortSignal.timeout(ms)) : null);
  const calls =
    found ?? (end === null ? await look(path, offset, (jsonl) => modelCalls(rowsOfTurn(jsonl, messageId))) : null);
  return calls && [...calls, ...(await subagentCalls(path, messageId, offset))];
}

/** The model calls of the subagents that worked for a turn. claude records each in a file of its own. */
async function subagentCalls(path: string, messageId: string, offset: number): Promise<ModelCall[]> {
  const folder = join(path.replace(/\.jsonl$/, ""), "subagents");
  if (!existsSync(folder)) return [];
  const promptId = await findPrompt(path, messageId, offset);
  if (promptId === null) return [];
  const files = readdirSync(folder).filter((name) => name.startsWith("agent-") && name.endsWith(".jsonl"));
  const calls: ModelCall[] = [];
  for (const name of files) {
    // Those of earlier turns are not read to their end: there may be many, and long ones.
    const jsonl = await readSubagentRows(join(folder, name), path, `"promptId":"${promptId}"`).catch((error) => {
      log.warning("record of a subagent not readable: {error}", { error });
      return null;
    });
    const rows = (jsonl ?? "").split("\n").map((line) => row.safeParse(parseLine(line)));
    calls.push(...modelCalls(rows.flatMap(({ data }) => data ?? [])).map((call) => ({ ...call, isSubagent: true })));
  }
  return calls;
}

/** `findCalls` as soon as claude has recorded them, or null when `signal` ends the wait. */
export const readCalls = (path: string, messageId: string, offset: number, callId: string, signal: AbortSignal) =>
  follow(path, offset, (jsonl) => findCalls(jsonl, messageId, callId), signal);

/** Resolves when claude has recorded the turn's interruption, or with null when `signal` ends the wait. */
export const readInterruption = (path: string, messageId: string, offset: number, signal: AbortSignal) =>
  follow(path, offset, (jsonl) => findInterruption(jsonl, messageId), signal);

/** `findSeam` as soon as claude has recorded it, or null when `signal` ends the wait. */
export const readSeam = (path: string, messageId: string, offset: number, shown: string, signal: AbortSignal) =>
  followNew(path, offset, (jsonl) => findSeam(jsonl, messageId, shown), signal);

/** `findRefusedPrompt` as soon as claude has recorded it, or null when `signal` ends the wait. */
export const readRefusedPrompt = (path: string, messageId: string, offset: number, signal: AbortSignal) =>
  followNew(path, offset, (jsonl) => findRefusedPrompt(jsonl, messageId), signal);

/** `findFailure` as soon as claude has recorded it, or null when `signal` ends the wait. */
export const readFailure = (path: string, messageId: string, offset: number, signal: AbortSignal) =>
  followNew(path, offset, (jsonl) => findFailure(jsonl, messageId), signal);

/**
 * Reads `path` from `offset` (bytes) on, now and after each change, until `find` finds something.
 * @returns null when `signal` ends the wait
 */
async function follow<T>(
  path: string,
  offset: number,
  find: (jsonl: string) => T | null,
  signal: AbortSignal,
): Promise<T | null> {
  const there = await look(path, offset, find);
  if (there !== null || signal.aborted || !existsSync(dirname(path))) return there;

  let changed = Promise.withResolvers<void>();
  const wake = () => changed.resolve();
  // The folder is watched, since a session's first turn may end before its file is there.
  const name = basename(path);
  const watcher = watchChanges(dirname(path), (file) => {
    if (file === name || file === null) wake();
  });
  signal.addEventListener("abort", wake);
  try {
    for (;;) {
      const found = await look(path, offset, find);
      if (found !== null || signal.aborted) return found;
      await changed.promise;
      changed = Promise.withResolvers();
    }
  } finally {
    watcher.close();
    signal.removeEventListener("abort", wake);
  }
}

/** `follow` for a session's first turn, too: claude makes the folder with its first row. */
async function followNew<T>(
  path: string,
  offset: number,
  find: (jsonl: string) => T | null,
  signal: AbortSignal,
): Promise<T | null> {
  while (!existsSync(dirname(path)) && !signal.aborted) await Bun.sleep(FOLDER_MS);
  return follow(path, offset, find, signal);
}

async function look<T>(path: string, offset: number, find: (jsonl: string) => T | null): Promise<T | null> {
  const jsonl = await readRows(path, offset);
  return jsonl === null ? null : find(jsonl);
}

/**
 * claude's id for the prompt that brought our message.
 * @param offset bytes of the file that are older than the message
 * @returns null when claude has not recorded it
 */
export async function findPrompt(path: string, messageId: string, offset: number): Promise<string | null> {
  for (const row of rowsOfTurn((await readRows(path, offset)) ?? "", messageId)) {
    if (row.type === "user") return row.promptId ?? null;
  }
  return null;
}

/** The turns whose messages claude has recorded, by their ids. */
export const recordedTurns = async (path: string): Promise<ReadonlySet<string>> =>
  new Set((await sentTexts(path)).keys());

/** The texts in which turns were sent, by the turns' ids. */
export async function sentTexts(path: string): Promise<ReadonlyMap<string, string>> {
  const texts = new Map<string, string>();
  for (const line of ((await readPrompts(path)) ?? "").split("\n")) {
    const parsed = row.safeParse(parseLine(line));
    const id = parsed.success ? promptOf(parsed.data) : null;
    if (id !== null && parsed.data?.type === "user") texts.set(id, String(parsed.data.message.content));
  }
  return texts;
}

/** claude's own folder, `CLAUDE_CONFIG_DIR` or `~/.claude`. */
export const configFolder = (env: Record<string, string | undefined>): string =>
  env.CLAUDE_CONFIG_DIR || join(env.HOME || homedir(), ".claude");

/** The folder with the transcripts, a folder in it for each that Claude has worked in. */
export const projectsFolder = (env: Record<string, string | undefined>): string => join(configFolder(env), "projects");

/**
 * Where claude's transcript of a session is; it may lie with any folder that claude has worked in.
 * @returns null when there is none: then `--resume` would exit
 */
export async function findTranscript(
  claudeSession: string,
  env: Record<string, string | undefined>,
): Promise<string | null> {
  const projects = projectsFolder(env);
  if (!existsSync(projects)) return null;
  const files = new Bun.Glob(`*/${claudeSession}.jsonl`).scan({ cwd: projects, dot: true, absolute: true });
  for await (const file of files) return file;
  return null;
}

/** Removes claude's record of a session, for good, with those of its sub-agents. */
export async function removeTranscript(claudeSession: string, env: Record<string, string | undefined>): Promise<void> {
  const file = await findTranscript(claudeSession, env);
  if (!file) return;
  rmSync(file, { force: true });
  rmSync(file.replace(/\.jsonl$/, ""), { recursive: true, force: true });
}
