/** The results of the client's tools: which results in a request belong to which calls, and how Claude receives them. */

import { quoteMarkup } from "../core/quoting.ts";
import { clientCallId, plainId } from "../core/tools.ts";
import type { Input } from "../intake/input.ts";
import type { NewMessage, ToolInput } from "../intake/new-message.ts";
import { MAX_RESULT_SIZE } from "../plugin/mcp-tool.ts";
import type { ToolResult, ToolResults } from "../turn/turn-state.ts";
import { MAX_FRAME_BYTES, type ToolContent } from "../wire/frames.ts";
import { contextBlock } from "./message-text.ts";

/** How much content fits into one frame to the plugin. The rest of the frame is for the other fields. */
const MAX_CONTENT_BYTES = MAX_FRAME_BYTES - 64 * 1024;

/** Writes a file for Claude to read. @returns its path */
export type SaveFile = (bytes: Uint8Array | string, extension: string) => string;

export interface MatchedResults {
  /** By the calls' ids, as Claude Code gave them. When a call has two results, the first counts. */
  readonly results: ReadonlyMap<string, ToolInput>;
  /** The messages that are not results of these calls. */
  readonly rest: readonly NewMessage[];
}

/** The calls of one turn that wait for a result. */
export interface AwaitedCalls {
  /** The turn's id. */
  readonly turn: string;
  /** As Claude Code gave them. */
  readonly ids: readonly string[];
}

/** Separates the results of these calls from a request's other messages. */
export function splitToolResults(messages: readonly NewMessage[], { turn, ids: calls }: AwaitedCalls): MatchedResults {
  const results = new Map<string, ToolInput>();
  const onlyCall = calls.length === 1 ? calls[0] : undefined;
  const byClientId = new Map(calls.map((call) => [clientCallId(turn, call), call]));
  const rest = messages.filter((message) => {
    if (message.role !== "tool") return true;
    const callId = plainId(message.callId);
    // OpenAI's older function calls have no ids, and only one call at a time.
    const id = callId === "" ? onlyCall : byClientId.get(callId);
    if (!id) return true;
    if (!results.has(id)) results.set(id, message);
    return false;
  });
  return { results, rest };
}

/** Whether a request has results of these calls, and no user message. */
export const isAnswerTo = ({ messages }: Pick<Input, "messages">, calls: AwaitedCalls): boolean =>
  messages.every(({ role }) => role === "tool") && splitToolResults(messages, calls).results.size > 0;

/**
 * Whether Claude Code shows the model all of a result. It writes a longer text to a file, and a PDF file has no form in
 * the result of a tool.
 */
export const isShownWhole = (message: NewMessage): boolean =>
  message.role !== "tool" || (message.files.length === 0 && quoteMarkup(message.text).length <= MAX_RESULT_SIZE);

/**
 * Results as Claude receives them.
 * @param context the client's context, which is appended to the last result; empty for none
 * @param save null for a Claude that cannot read files. It runs over stream-json, which has no frames
 */
export function toolResults(
  { results }: Pick<MatchedResults, "results">,
  context: string,
  save: SaveFile | null,
): ToolResults {
  const last = [...results.keys()].at(-1);
  return new Map(
    [...results].map(([id, input]) => [id, toolResult(input, id === last && context !== "" ? context : null, save)]),
  );
}

function toolResult(
  { text, images, files, isError }: ToolInput,
  context: string | null,
  save: SaveFile | null,
): ToolResult {
  const content: ToolContent[] = [];
  let room = MAX_CONTENT_BYTES;
  const add = (part: ToolContent, instead: (save: SaveFile) => string) => {
    const bytes = save === null ? 0 : Buffer.byteLength(JSON.stringify(part));
    if (save === null || bytes <= room) {
      content.push(part);
      room -= bytes;
    } else content.push({ type: "text", text: instead(save) });
  };
  if (text !== "" || images.length + files.length === 0) {
    add(
      { type: "text", text: quoteMarkup(text) },
      (to) => `[This result is too long to be shown here. It is in ${to(text, "txt")}]`,
    );
  }
  for (const { bytes, extension, mimeType } of images) {
    add(
      { type: "image", data: Buffer.from(bytes).toString("base64"), mimeType },
      (to) => `[An image too large to be shown here. It is in ${to(bytes, extension)}]`,
    );
  }
  for (const { bytes, extension, name } of files) {
    const where = save === null ? "cannot be shown here" : `is in ${save(bytes, extension)}`;
    content.push({ type: "text", text: `[The file ${name} ${where}]` });
  }
  if (context !== null) content.push({ type: "text", text: contextBlock(quoteMarkup(context)) });
  return { content, isError };
}
