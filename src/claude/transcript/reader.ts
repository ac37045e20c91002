/**
 * Reads parts of a turn from a transcript on the disk, and waits for those that Claude Code has not written yet. All
 * functions take the path of the transcript and an `offset`: the number of bytes that are older than the message.
 */
import { existsSync, readdirSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { getLogger } from "@logtape/logtape";
import { contentText, type MessageContent } from "../../core/dialogue.ts";
import { watchChanges } from "../../core/watch-file.ts";
import type { ModelCall } from "../token-usage.ts";
import { readPrompts, readRows, readSubagentRows } from "./file.ts";
import { sessionFolderOf } from "./location.ts";
import { messageIdOf, parseRow, rowsOfTurn } from "./rows.ts";
import {
  findCalls,
  findFailure,
  findInterruption,
  findModelCalls,
  findRefusedPrompt,
  findTurn,
  modelCalls,
  type TurnRecord,
} from "./turn-record.ts";
import { findSeam } from "./turn-texts.ts";

const log = getLogger(["synthesis", "transcript"]);

/**
 * How long to wait for the last row of a finished turn. It is on the disk about 120 ms after `Stop`, much later on a busy
 * machine. Only the token figures depend on it; the client already has the complete answer.
 */
const TURN_END_MS = 3_000;

/** How often to look for a folder that Claude Code is about to create, in ms. */
const FOLDER_POLL_MS = 50;

/** The complete record of a turn. @returns null when Claude Code does not complete it within `TURN_END_MS` */
export async function readTurn(path: string, messageId: string, offset: number): Promise<TurnRecord | null> {
  const find = (jsonl: string) => findTurn(jsonl, messageId);
  // The time-out is created only if the record is not there yet, so that no timer outlives this call needlessly.
  const found =
    (await readNow(path, offset, find)) ?? (await follow(path, offset, find, AbortSignal.timeout(TURN_END_MS)));
  return found && { ...found, calls: [...found.calls, ...(await readSubagentCalls(path, messageId, offset))] };
}

/**
 * Waits for the result of `findModelCalls`, and adds the calls of sub-agents.
 * @param ms how long to wait; 0 for not at all
 * @returns after that time the calls that are there if the turn has ended, and null for an answer within a turn
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
    (await readNow(path, offset, find)) ?? (ms > 0 ? await follow(path, offset, find, AbortSignal.timeout(ms)) : null);
  const calls =
    found ?? (end === null ? await readNow(path, offset, (jsonl) => modelCalls(rowsOfTurn(jsonl, messageId))) : null);
  return calls && [...calls, ...(await readSubagentCalls(path, messageId, offset))];
}

/** The model calls of the sub-agents that worked for a turn. Claude Code records each sub-agent in its own file. */
export async function readSubagentCalls(path: string, messageId: string, offset: number): Promise<ModelCall[]> {
  const folder = join(sessionFolderOf(path), "subagents");
  if (!existsSync(folder)) return [];
  const promptId = await findPrompt(path, messageId, offset);
  if (promptId === null) return [];
  const files = readdirSync(folder).filter((name) => name.startsWith("agent-") && name.endsWith(".jsonl"));
  const calls: ModelCall[] = [];
  for (const name of files) {
    // The mark keeps the sub-agents of earlier turns from being read in full: there may be many long files.
    const jsonl = await readSubagentRows(join(folder, name), path, `"promptId":"${promptId}"`).catch((error) => {
      log.warning("record of a sub-agent was not readable: {error}", { error });
      return null;
    });
    const rows = (jsonl ?? "").split("\n").flatMap((line) => parseRow(line) ?? []);
    calls.push(...modelCalls(rows).map((call) => ({ ...call, isSubagent: true })));
  }
  return calls;
}

/** Waits for the result of `findCalls`. @returns null when `signal` ends the wait */
export const readCalls = (path: string, messageId: string, offset: number, callId: string, signal: AbortSignal) =>
  follow(path, offset, (jsonl) => findCalls(jsonl, messageId, callId), signal);

/** Waits until the interruption of the turn is recorded. @returns null when `signal` ends the wait */
export const readInterruption = (path: string, messageId: string, offset: number, signal: AbortSignal) =>
  follow(path, offset, (jsonl) => findInterruption(jsonl, messageId), signal);

/** Waits for the result of `findSeam`. @returns null when `signal` ends the wait */
export const readSeam = (path: string, messageId: string, offset: number, shown: string, signal: AbortSignal) =>
  followNew(path, offset, (jsonl) => findSeam(jsonl, messageId, shown), signal);

/** Waits for the result of `findRefusedPrompt`. @returns null when `signal` ends the wait */
export const readRefusedPrompt = (path: string, messageId: string, offset: number, signal: AbortSignal) =>
  followNew(path, offset, (jsonl) => findRefusedPrompt(jsonl, messageId), signal);

/** Waits for the result of `findFailure`. @returns null when `signal` ends the wait */
export const readFailure = (path: string, messageId: string, offset: number, signal: AbortSignal) =>
  followNew(path, offset, (jsonl) => findFailure(jsonl, messageId), signal);

/** Claude Code's own id of the prompt with this message id. @returns null when it is not recorded */
export async function findPrompt(path: string, messageId: string, offset: number): Promise<string | null> {
  for (const row of rowsOfTurn((await readRows(path, offset)) ?? "", messageId)) {
    if (row.type === "user") return row.promptId ?? null;
  }
  return null;
}

/** The ids of the turns whose messages are recorded. */
export const recordedTurns = async (path: string): Promise<ReadonlySet<string>> =>
  new Set((await sentTexts(path)).keys());

/** The text in which each recorded turn was sent, by the turn's id. */
export async function sentTexts(path: string): Promise<ReadonlyMap<string, string>> {
  const texts = new Map<string, string>();
  for (const line of ((await readPrompts(path)) ?? "").split("\n")) {
    const row = parseRow(line);
    const id = row ? messageIdOf(row) : null;
    if (id !== null && row?.type === "user") texts.set(id, promptText(row.message.content));
  }
  return texts;
}

/** The text of a prompt from synthesis. */
const promptText = (content: unknown): string => contentText(content as MessageContent);

async function readNow<T>(path: string, offset: number, find: (jsonl: string) => T | null): Promise<T | null> {
  const jsonl = await readRows(path, offset);
  return jsonl === null ? null : find(jsonl);
}

/** Reads the file now and after each change, until `find` returns a value. @returns null when `signal` ends the wait */
async function follow<T>(
  path: string,
  offset: number,
  find: (jsonl: string) => T | null,
  signal: AbortSignal,
): Promise<T | null> {
  const found = await readNow(path, offset, find);
  if (found !== null || signal.aborted || !existsSync(dirname(path))) return found;

  let changed = Promise.withResolvers<void>();
  const wake = () => changed.resolve();
  // The folder is watched, not the file: the first turn of a session may end before the file exists.
  const name = basename(path);
  const watcher = watchChanges(dirname(path), (file) => {
    if (file === name || file === null) wake();
  });
  signal.addEventListener("abort", wake);
  try {
    for (;;) {
      const found = await readNow(path, offset, find);
      if (found !== null || signal.aborted) return found;
      await changed.promise;
      changed = Promise.withResolvers();
    }
  } finally {
    watcher.close();
    signal.removeEventListener("abort", wake);
  }
}

/** Like `follow`, also for the first turn of a session: Claude Code creates the folder together with its first row. */
async function followNew<T>(
  path: string,
  offset: number,
  find: (jsonl: string) => T | null,
  signal: AbortSignal,
): Promise<T | null> {
  while (!existsSync(dirname(path)) && !signal.aborted) await Bun.sleep(FOLDER_POLL_MS);
  return follow(path, offset, find, signal);
}
