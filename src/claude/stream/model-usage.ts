/**
 * The tokens and the cost of each model, as Claude Code reports them with a result: of all its calls, those of subagents
 * and those that it makes for itself included. It counts up over the whole process.
 */
import { z } from "zod";
import { JSON_BOUNDS, parseJson } from "../../core/json-gate.ts";
import { addedUsage, type ModelUsage } from "../../core/usage.ts";
import { readCostRow } from "../transcript/file.ts";
import { findTranscript } from "../transcript/location.ts";
import { modelUsage, type StreamLine } from "./protocol.ts";

/** What a process has used so far; null when the line does not say. Single calls are not reported, so `calls` is 0. */
export const readModelUsage = (line: StreamLine & { type: "result" }): readonly ModelUsage[] | null =>
  line.modelUsage ? usageOf(line.modelUsage) : null;

const usageOf = (byModel: z.infer<typeof modelUsage>): readonly ModelUsage[] =>
  Object.entries(byModel).map(([model, figures]) => ({
    model,
    calls: 0,
    input: figures.inputTokens,
    cacheRead: figures.cacheReadInputTokens,
    cacheWrite: figures.cacheCreationInputTokens,
    output: figures.outputTokens,
    cost: figures.costUSD ?? null,
  }));

const costRow = z.looseObject({ modelUsage });

/**
 * What a session had used when its last process exited, as Claude Code has recorded it. The next process counts on from
 * there. Null when it is not recorded, for example since that process was killed in its first turn.
 * @param env the environment that names Claude Code's configuration folder
 */
export async function readEarlierUsage(
  claudeSession: string,
  env: Record<string, string | undefined>,
): Promise<readonly ModelUsage[] | null> {
  const path = await findTranscript(claudeSession, env);
  const row = path && (await readCostRow(path));
  if (!row) return null;
  const parsed = costRow.safeParse(parseJson(row, JSON_BOUNDS));
  return parsed.success ? usageOf(parsed.data.modelUsage) : null;
}

/**
 * What the newest turn of a process has used, by the figures that count up over the process. What Claude Code used
 * between two turns, for example for a background task, counts for the later one.
 */
export class TurnFigures {
  /** What the process had used before the turn; null when that is unknown. */
  #before: readonly ModelUsage[] | null;
  #now: readonly ModelUsage[] | null;
  #messages: readonly string[] = [];

  /** @param isResumed the figures continue those of an earlier process, which `begin` notes */
  constructor(isResumed: boolean) {
    this.#before = isResumed ? null : [];
    this.#now = this.#before;
  }

  /** Notes what a resumed session had used before. It counts only if no turn has ended since the process started. */
  begin(earlier: readonly ModelUsage[] | null): void {
    if (this.#messages.length === 0) this.#now = earlier;
  }

  read(line: StreamLine): void {
    if (line.type !== "result" || line.user_message_uuids.length === 0) return;
    const isSameTurn = line.user_message_uuids.some((id) => this.#messages.includes(id));
    if (!isSameTurn) this.#before = this.#now;
    this.#messages = line.user_message_uuids;
    this.#now = readModelUsage(line);
  }

  /** The figures of a turn; null when they are unknown. @param messageId the message that began the turn */
  of(messageId: string): readonly ModelUsage[] | null {
    const before = this.#before;
    if (before === null || this.#now === null || !this.#messages.includes(messageId)) return null;
    const hasFallen = before.some(
      ({ model, output }) => output > (this.#now?.find((now) => now.model === model)?.output ?? 0),
    );
    // The process has not counted on from what was recorded.
    if (hasFallen) return null;
    return this.#now.map((now) => {
      const earlier = before.find(({ model }) => model === now.model);
      return earlier ? addedUsage(now, earlier, -1) : now;
    });
  }
}
