/** The messages of a request as a dialogue, for a Claude that knows nothing else. */
import { checkFileCount, decodeFile, decodeImage, tryDecode } from "../api/openai-chat/attachments.ts";
import { filesIn, imagesIn, refuseUnsupportedParts, unsupportedTypes } from "../api/openai-chat/content-parts.ts";
import { callsIn, type PastCall, pastCalls, textOf } from "../api/openai-chat/past-message.ts";
import { messageText, speakerOf } from "../api/openai-chat/request.ts";
import { type DecodedFile, type DecodedImage, fileText } from "../core/attachments.ts";
import type { Block, DialogueTurn, DocumentBlock, ImageBlock, TextBlock, ToolUseBlock } from "../core/dialogue.ts";
import { parseJson } from "../core/json-gate.ts";
import { labelledResult, labelName, quoteFile, quoteMarkup, quoteTags, withSpeaker } from "../core/quoting.ts";
import { type ToolCatalogue, WRAPPER_KEY } from "../core/tools.ts";
import { TOOL_PREFIX } from "../plugin/manifest.ts";
import { impliedRequest, impliedText } from "./implied-request.ts";
import type { ParsedMessage, ParsedRequest } from "./parsed-request.ts";

const NO_TOOLS: ToolCatalogue = new Map();

/**
 * Reads the dialogue of a request. Calls of offered tools and their results are such blocks. The model may only be given
 * those of tools that it is offered, so all other calls and results are described in text.
 * @throws RequestError (`invalid_request`) for a message that Claude cannot be given
 */
export function readDialogue(
  { messagesBeforePrefill: messages, prefill }: ParsedRequest,
  offered: ToolCatalogue = NO_TOOLS,
): readonly DialogueTurn[] {
  const turns: { role: DialogueTurn["role"]; content: Block[] }[] = [];
  const add = (role: DialogueTurn["role"], blocks: readonly Block[]) => {
    // The API refuses blank texts.
    const content = blocks.filter((block) => block.type !== "text" || block.text.trim() !== "");
    if (content.length === 0) return;
    const last = turns.at(-1);
    if (last?.role === role) last.content.push(...content);
    else turns.push({ role, content });
  };
  let open: ReadonlySet<string> = new Set();
  messages.forEach((message, at) => {
    if (message.role === "assistant") {
      const calls = toolUses(messages, at, offered);
      open = new Set(calls?.map(({ id }) => id));
      add("assistant", [...assistantTexts(message, calls ? [] : pastCalls(message.message)), ...(calls ?? [])]);
    } else if (message.role === "user") {
      add("user", userBlocks(message));
    } else {
      add("user", resultBlocks(message, open));
    }
  });
  const isStated = turns.at(-1)?.role === "user";
  const implied = impliedRequest(prefill, messages.at(-1)?.message, isStated);
  if (prefill !== null) add("assistant", [textBlock(prefill)]);
  if (implied) add("user", [textBlock(impliedText(implied, false))]);
  if (turns[0]?.role === "assistant") {
    turns.unshift({ role: "user", content: [textBlock("(The conversation begins with your words.)")] });
  }
  return turns;
}

/**
 * The calls of the assistant's message at an index, as blocks. Null when it has none, or the model could not be given
 * all of them: the API wants the results of all calls in the next turn.
 */
function toolUses(
  messages: readonly ParsedMessage[],
  at: number,
  offered: ToolCatalogue,
): readonly ToolUseBlock[] | null {
  const message = messages[at]?.message;
  if (!message || offered.size === 0) return null;
  const calls = callsIn(message);
  const blocks = calls.flatMap((call) => toolUse(call, offered) ?? []);
  const results = new Set<string>();
  for (let next = at + 1; messages[next]?.role === "tool"; next += 1) {
    results.add(messages[next]?.message.tool_call_id ?? "");
  }
  const isComplete =
    blocks.length === calls.length &&
    results.size === blocks.length &&
    new Set(blocks.map(({ id }) => id)).size === blocks.length &&
    blocks.every(({ id }) => results.has(id));
  return isComplete && blocks.length > 0 ? blocks : null;
}

/** @returns null for a call of a tool that is not offered, or without an id or an object as input */
function toolUse({ id, name, arguments: given }: PastCall, offered: ToolCatalogue): ToolUseBlock | null {
  if (id === null || !/^[\w-]+$/.test(id)) return null;
  for (const [claudeName, tool] of offered) {
    if (tool.name !== name) continue;
    const value = parsed(given === "" ? "{}" : given);
    const input = tool.isWrapped ? { [WRAPPER_KEY]: value } : value;
    return isObject(input) ? { type: "tool_use", id, name: `${TOOL_PREFIX}${claudeName}`, input } : null;
  }
  return null;
}

function parsed(json: string): unknown {
  try {
    return parseJson(json);
  } catch {
    // A model may have written arguments that are no JSON. They are described in text.
    return undefined;
  }
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const textBlock = (text: string): TextBlock => ({ type: "text", text });

const assistantTexts = (
  { message }: ParsedMessage,
  described: readonly Pick<PastCall, "name" | "arguments">[],
): readonly Block[] =>
  [
    quoteMarkup(withSpeaker(speakerOf(message), textOf(message))),
    ...described.map(({ name, arguments: given }) => `[called ${labelName(name)} with ${quoteMarkup(given) || "{}"}]`),
  ].map(textBlock);

/**
 * The result of a tool. It is never refused, since its tool has run. Its text names what Claude cannot be given.
 * @param calls the ids of the calls that the model has as blocks
 */
function resultBlocks({ message, parts, toolName }: ParsedMessage, calls: ReadonlySet<string>): readonly Block[] {
  const images = imagesIn(parts).map((part) => tryDecode(part, decodeImage));
  const files = filesIn(parts).map((part) => tryDecode(part, decodeFile));
  const missing = [
    ...images.filter((image) => typeof image === "string"),
    ...files.filter((file) => typeof file === "string"),
    ...unsupportedTypes(parts),
  ].map((what) => `\n[Here was something that cannot be shown: ${what}]`);
  const attachments = [
    ...images.filter((image) => typeof image !== "string").map(imageBlock),
    ...files.filter((file) => typeof file !== "string").map(fileBlock),
  ];
  const text = messageText(message);
  const id = message.tool_call_id ?? "";
  if (!calls.has(id)) {
    const label = labelledResult("result of %", toolName ?? "a tool", text);
    return [textBlock(`${label}${missing.join("")}`), ...attachments];
  }
  const content = [textBlock(`${quoteMarkup(text)}${missing.join("")}`), ...attachments];
  return [
    {
      type: "tool_result",
      tool_use_id: id,
      is_error: message.is_error === true,
      content: content.filter((block) => block.type !== "text" || block.text.trim() !== ""),
    },
  ];
}

function userBlocks({ message, parts }: ParsedMessage): readonly Block[] {
  refuseUnsupportedParts(parts);
  checkFileCount(filesIn(parts));
  const speaker = speakerOf(message);
  return parts.flatMap((part): Block[] => {
    if (part.kind === "text") return [textBlock(quoteMarkup(withSpeaker(speaker, part.text)))];
    if (part.kind === "image") return [imageBlock(decodeImage(part))];
    return part.kind === "file" ? [fileBlock(decodeFile(part))] : [];
  });
}

const imageBlock = ({ bytes, mimeType }: DecodedImage): ImageBlock => ({
  type: "image",
  source: { type: "base64", media_type: mimeType, data: Buffer.from(bytes).toString("base64") },
});

function fileBlock(file: DecodedFile): TextBlock | DocumentBlock {
  const { bytes, kind, name } = file;
  if (kind === "text") return textBlock(`<file name="${name}">\n${quoteTags(quoteFile(fileText(file)))}\n</file>`);
  const data = Buffer.from(bytes).toString("base64");
  return { type: "document", title: name, source: { type: "base64", media_type: "application/pdf", data } };
}
