/**
 * The rows of a transcript, a JSONL file, as far as they are read here. Claude Code writes one row for each content
 * block. The rows of one message share its `message.id` and repeat its `usage`.
 */
import { z } from "zod";
import { JSON_BOUNDS, type JsonBounds, parseJson } from "../../core/json-gate.ts";
import { channelMessageId } from "../../wire/hooks.ts";

const rowSchema = z.discriminatedUnion("type", [
  z.object({
    type: z.literal("user"),
    promptId: z.string().optional(),
    uuid: z.string().optional(),
    /** `sdk` for a message that came over stream-json. */
    promptSource: z.string().optional().catch(undefined),
    isSidechain: z.boolean().optional(),
    message: z.object({ content: z.unknown() }),
  }),
  // Of a failed request `model-failure.ts` reads more.
  z.looseObject({
    type: z.literal("assistant"),
    isSidechain: z.boolean().optional(),
    /** The message is Claude Code's report about a failed request, not the model's. */
    isApiErrorMessage: z.boolean().optional(),
    message: z.looseObject({
      id: z.string(),
      model: z.string().optional(),
      /** Why the model ended the message. */
      stop_reason: z.string().nullish(),
      content: z.array(
        z.object({
          type: z.string(),
          text: z.string().optional(),
          id: z.string().optional(),
          name: z.string().optional(),
          input: z.unknown().optional(),
        }),
      ),
      usage: z.object({
        input_tokens: z.number(),
        output_tokens: z.number(),
        cache_read_input_tokens: z.number().nullish(),
        cache_creation_input_tokens: z.number().nullish(),
      }),
    }),
  }),
  z.object({
    type: z.literal("system"),
    subtype: z.string().optional(),
    /** Of a `stop_hook_summary`. */
    hookCount: z.number().optional().catch(undefined),
    /** A hook rejected the prompt. Claude Code keeps the prompt in the conversation only if `promptKept` is true. */
    promptSubmitEnding: z
      .looseObject({ ending: z.object({ reason: z.string().catch("") }), promptKept: z.boolean() })
      .optional()
      .catch(undefined),
  }),
]);

export type Row = z.infer<typeof rowSchema>;
type UserRow = Row & { type: "user" };

const TYPES: ReadonlySet<unknown> = new Set(rowSchema.options.map((option) => option.shape.type.value));

/** Rows contain whole tool results, images and files among them. */
const ROW_BOUNDS: JsonBounds = { ...JSON_BOUNDS, stringBytes: Number.POSITIVE_INFINITY };

/** Parses one line; null when it is a row of another kind, exceeds a bound, or is only half written yet. */
export function parseRow(line: string): Row | null {
  try {
    const row = parseJson(line, ROW_BOUNDS) as { type?: unknown } | null;
    // Every second row is of another kind. To let the schema refuse it takes longer than to parse it.
    if (!TYPES.has(row?.type)) return null;
    const parsed = rowSchema.safeParse(row);
    return parsed.success ? parsed.data : null;
  } catch {
    return null;
  }
}

/** Each of them occurs in every prompt of one kind that synthesis has sent: with a channel tag, and as blocks. */
const PROMPT_MARKS = ["message_id=", '"promptSource":"sdk"'] as const;

/** Whether a row, as JSON, may be a prompt from synthesis. */
export const mayBePrompt = (row: string | Buffer): boolean => PROMPT_MARKS.some((mark) => row.includes(mark));

/** The message id in a row that is a prompt from synthesis; null for any other row. */
export function messageIdOf(row: Row): string | null {
  if (row.type !== "user") return null;
  const { content } = row.message;
  if (typeof content === "string") return channelMessageId(content);
  // A message without a channel tag has the id that it was written with.
  return row.promptSource === "sdk" ? (row.uuid ?? null) : null;
}

/**
 * The rows of one turn: the prompt with this message id, and everything up to the next one. When Claude Code compacts the
 * conversation at the beginning of a turn, it may record the turn's prompt again after the summary.
 */
export function* rowsOfTurn(jsonl: string, messageId: string): Generator<Row> {
  let inTurn = false;
  for (const line of jsonl.split("\n")) {
    // A transcript has many rows of other turns, so they are not parsed.
    if (!inTurn && !mayBePrompt(line)) continue;
    const row = parseRow(line);
    if (!row) continue;
    const prompt = messageIdOf(row);
    if (prompt !== null) {
      if (inTurn && prompt !== messageId) return;
      inTurn = prompt === messageId;
    }
    if (inTurn) yield row;
  }
}

/** Claude Code has recorded everything of a turn that ended normally. */
export const isTurnEnd = (row: Row): boolean => row.type === "system" && row.subtype === "turn_duration";

/** The last row of a turn that failed or was interrupted. */
export const isTurnBreak = (row: Row): boolean =>
  row.type === "assistant" ? row.isApiErrorMessage === true : row.type === "user" && isInterruptionRow(row);

/** The user row that Claude Code writes for an interruption has this text as its only block; a tool result has not. */
export const isInterruptionRow = ({ message }: UserRow): boolean => interruption.safeParse(message.content).success;

const interruption = z.tuple([
  z.object({ type: z.literal("text"), text: z.string().startsWith("[Request interrupted by user") }),
]);
