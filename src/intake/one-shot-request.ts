/**
 * A one-shot: a request that is answered outside any conversation, from its own messages alone. They become the turns of
 * a dialogue, which is the input of Claude Code's print mode.
 */
import { checkFileCount, decodeFile, decodeImage, tryDecode } from "../api/openai-chat/attachments.ts";
import { filesIn, imagesIn, refuseUnsupportedParts, unsupportedTypes } from "../api/openai-chat/content-parts.ts";
import { pastCalls, textOf } from "../api/openai-chat/past-message.ts";
import { messageText, speakerOf } from "../api/openai-chat/request.ts";
import { type AnswerFormat, formatNote, readFormat, schemaNote } from "../api/openai-chat/response-format.ts";
import { effortFor, modelFor } from "../claude/models.ts";
import type { Effort } from "../config/schema.ts";
import { type DecodedFile, type DecodedImage, fileText } from "../core/attachments.ts";
import { labelledResult, labelName, quoteFile, quoteMarkup, quoteTags, withSpeaker } from "../core/quoting.ts";
import type { JsonSchema } from "../core/tools.ts";
import { claudeSchema } from "../json-schema/claude-schema.ts";
import { impliedRequest, impliedText } from "./implied-request.ts";
import type { ParsedMessage, ParsedRequest } from "./parsed-request.ts";

/** A content block of Anthropic's API. */
type Block =
  | { readonly type: "text"; readonly text: string }
  | {
      readonly type: "image";
      readonly source: { readonly type: "base64"; readonly media_type: string; readonly data: string };
    }
  | {
      readonly type: "document";
      readonly title: string;
      readonly source: { readonly type: "base64"; readonly media_type: "application/pdf"; readonly data: string };
    };

export interface DialogueTurn {
  readonly role: "user" | "assistant";
  readonly content: readonly Block[];
}

export interface OneShotRequest {
  /** Empty when the request has no system prompt. */
  readonly system: string;
  /** The turns alternate between user and assistant; the first and the last are the user's. */
  readonly turns: readonly DialogueTurn[];
  /** The beginning of the answer, which the client gives and Claude continues; null when there is none. */
  readonly prefill: string | null;
  readonly format: AnswerFormat;
  /** The schema that Claude Code enforces; null when it is only asked for the format. */
  readonly claudeSchema: JsonSchema | null;
  /** An alias or a full name; null for Claude Code's own default. */
  readonly model: string | null;
  /** Null for the configured one. */
  readonly effort: Effort | null;
}

/** @throws RequestError (`invalid_request`) for a message that Claude cannot be given, or an unknown format */
export function readOneShotRequest(request: ParsedRequest): OneShotRequest {
  const { body } = request;
  const format = readFormat(body);
  const enforced = format.type === "json" && format.schema ? claudeSchema(format.schema) : null;
  const note = enforced ? schemaNote(format, enforced) : formatNote(format);
  return {
    system: [request.system, note ?? ""].filter((text) => text !== "").join("\n\n"),
    turns: readTurns(request),
    prefill: request.prefill,
    format,
    claudeSchema: enforced,
    model: modelFor(body.model),
    effort: effortFor(body.reasoning_effort),
  };
}

function readTurns({ messagesBeforePrefill, prefill }: ParsedRequest): readonly DialogueTurn[] {
  const turns: { role: DialogueTurn["role"]; content: Block[] }[] = [];
  const add = (role: DialogueTurn["role"], blocks: readonly Block[]) => {
    // The API refuses blank texts.
    const content = blocks.filter((block) => block.type !== "text" || block.text.trim() !== "");
    if (content.length === 0) return;
    const last = turns.at(-1);
    if (last?.role === role) last.content.push(...content);
    else turns.push({ role, content });
  };
  for (const message of messagesBeforePrefill) {
    if (message.role === "assistant") add("assistant", assistantBlocks(message));
    else add("user", message.role === "user" ? userBlocks(message) : resultBlocks(message));
  }
  const isStated = turns.at(-1)?.role === "user";
  const implied = impliedRequest(prefill, messagesBeforePrefill.at(-1)?.message, isStated);
  if (prefill !== null) add("assistant", [{ type: "text", text: prefill }]);
  if (implied) add("user", [{ type: "text", text: impliedText(implied, false) }]);
  if (turns[0]?.role === "assistant") {
    turns.unshift({ role: "user", content: [{ type: "text", text: "(The conversation begins with your words.)" }] });
  }
  return turns;
}

/** A one-shot offers none of the client's tools, so their calls and results are described in text. */
const assistantBlocks = ({ message }: ParsedMessage): readonly Block[] =>
  [
    quoteMarkup(withSpeaker(speakerOf(message), textOf(message))),
    ...pastCalls(message).map(
      ({ name, arguments: given }) => `[called ${labelName(name)} with ${quoteMarkup(given) || "{}"}]`,
    ),
  ].map((text) => ({ type: "text", text }));

/** A result is never refused, since its tool has run. Its text names what Claude cannot be given. */
function resultBlocks({ message, parts, toolName }: ParsedMessage): readonly Block[] {
  const images = imagesIn(parts).map((part) => tryDecode(part, decodeImage));
  const files = filesIn(parts).map((part) => tryDecode(part, decodeFile));
  const missing = [
    ...images.filter((image) => typeof image === "string"),
    ...files.filter((file) => typeof file === "string"),
    ...unsupportedTypes(parts),
  ].map((what) => `\n[Here was something that cannot be shown: ${what}]`);
  const label = labelledResult("result of %", toolName ?? "a tool", messageText(message));
  return [
    { type: "text", text: `${label}${missing.join("")}` },
    ...images.filter((image) => typeof image !== "string").map(imageBlock),
    ...files.filter((file) => typeof file !== "string").map(fileBlock),
  ];
}

function userBlocks({ message, parts }: ParsedMessage): readonly Block[] {
  refuseUnsupportedParts(parts);
  checkFileCount(filesIn(parts));
  const speaker = speakerOf(message);
  return parts.flatMap((part): Block[] => {
    if (part.kind === "text") return [{ type: "text", text: quoteMarkup(withSpeaker(speaker, part.text)) }];
    if (part.kind === "image") return [imageBlock(decodeImage(part))];
    return part.kind === "file" ? [fileBlock(decodeFile(part))] : [];
  });
}

const imageBlock = ({ bytes, mimeType }: DecodedImage): Block => ({
  type: "image",
  source: { type: "base64", media_type: mimeType, data: Buffer.from(bytes).toString("base64") },
});

function fileBlock(file: DecodedFile): Block {
  const { bytes, kind, name } = file;
  if (kind === "text")
    return { type: "text", text: `<file name="${name}">\n${quoteTags(quoteFile(fileText(file)))}\n</file>` };
  const data = Buffer.from(bytes).toString("base64");
  return { type: "document", title: name, source: { type: "base64", media_type: "application/pdf", data } };
}
