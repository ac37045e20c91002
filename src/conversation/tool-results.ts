/** The results that a client brings for the calls that claude waits with, as claude gets them. */

import { callIdOf, plainId } from "../api/openai-chat/tools.ts";
import { quoteMarkup } from "../core/quoting.ts";
import type { Input } from "../intake/input.ts";
import type { NewMessage, ToolInput } from "../intake/new-message.ts";
import type { ToolResult, ToolResults } from "../turn/turn-state.ts";
import { MAX_FRAME_BYTES, type ToolContent } from "../wire/frames.ts";
import { contextBlock } from "./message-text.ts";

/** So much of a frame is for what a result holds. */
const ROOM_BYTES = MAX_FRAME_BYTES - 64 * 1024;

/** Writes what is too large to be sent. @returns its path */
export type SaveFile = (bytes: Uint8Array | string, extension: string) => string;

export interface MatchedResults {
  /** By claude's ids. Of two for one call the first counts. */
  readonly results: ReadonlyMap<string, ToolInput>;
  /** What is no result of these calls. */
  readonly rest: readonly NewMessage[];
}

/**
 * Parts a request's results from the rest of it.
 * @param calls the calls that wait, by claude's ids
 */
export function splitToolResults(messages: readonly NewMessage[], calls: readonly string[]): MatchedResults {
  const results = new Map<string, ToolInput>();
  const only = calls.length === 1 ? calls[0] : undefined;
  const byClientsId = new Map(calls.map((call) => [callIdOf(call), call]));
  const rest = messages.filter((message) => {
    if (message.role !== "tool") return true;
    const callId = plainId(message.callId);
    // The API before `tools` has no ids, and one call at a time.
    const id = callId === "" ? only : byClientsId.get(callId);
    if (!id) return true;
    if (!results.has(id)) results.set(id, message);
    return false;
  });
  return { results, rest };
}

/** Whether a request brings results for these calls, and nobody says anything in it. */
export const isAnswerTo = ({ messages }: Input, calls: readonly string[]): boolean =>
  messages.every(({ role }) => role === "tool") && splitToolResults(messages, calls).results.size > 0;

/**
 * Results as they are given to claude.
 * @param context what the client wants known besides; empty for nothing
 */
export function toolResults(
  { results }: Pick<MatchedResults, "results">,
  context: string,
  save: SaveFile,
): ToolResults {
  const last = [...results.keys()].at(-1);
  return new Map(
    [...results].map(([id, input]) => [id, toolResult(input, id === last && context !== "" ? context : null, save)]),
  );
}

function toolResult({ text, images, files, isError }: ToolInput, context: string | null, save: SaveFile): ToolResult {
  const content: ToolContent[] = [];
  let room = ROOM_BYTES;
  const add = (part: ToolContent, instead: () => string) => {
    const bytes = Buffer.byteLength(JSON.stringify(part));
    if (bytes <= room) {
      content.push(part);
      room -= bytes;
    } else content.push({ type: "text", text: instead() });
  };
  if (text !== "" || images.length + files.length === 0) {
    add(
      { type: "text", text: quoteMarkup(text) },
      () => `[This result is too long to be shown here. It is in ${save(text, "txt")}]`,
    );
  }
  for (const { bytes, extension, mimeType } of images) {
    add(
      { type: "image", data: Buffer.from(bytes).toString("base64"), mimeType },
      () => `[An image too large to be shown here. It is in ${save(bytes, extension)}]`,
    );
  }
  for (const { bytes, extension, name } of files) {
    const shown = { type: "text" as const, text: `[The file ${name} is in ${save(bytes, extension)}]` };
    add(shown, () => shown.text);
  }
  if (context !== null) content.push({ type: "text", text: contextBlock(quoteMarkup(context)) });
  return { content, isError };
}
