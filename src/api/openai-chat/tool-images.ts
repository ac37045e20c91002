/**
 * Moves the images that a client's tool has returned into the tool's result. OpenAI's tool messages hold only text, so
 * clients send such images in a user message behind the results. No person wrote that message, and it must not count
 * as a person's: it would end the turn that waits for the results.
 *
 * A user message counts as the tools' when it follows results and holds images or files, and when its only text is a
 * known heading. It may have no text at all when a result announces an image. With any other text it is a person's.
 */
import { plainId } from "../../core/tools.ts";
import { isText } from "./content-parts.ts";
import { resultNames } from "./past-message.ts";
import { type ChatMessage, type ContentPart, messageText } from "./request.ts";

export interface IndexedMessage {
  readonly message: ChatMessage;
  /** The message's index in the request. */
  readonly index: number;
  /** The tool that a result comes from; null when the request does not say, and for all other messages. */
  readonly toolName: string | null;
}

/** What a heading says about the result that its images belong to. Some headings say nothing about it. */
interface Heading {
  /** Counted from 1, over the results that follow one another. */
  readonly number?: number;
  readonly tool?: string;
  readonly callId?: string;
  /** The name of a file; the result that mentions the file is meant. */
  readonly file?: string;
}

/** Each pattern matches a whole text. The clients are those in which the form was seen first. */
const HEADINGS: readonly (readonly [client: string, form: RegExp])[] = [
  ["OpenClaw", /^Image\(s\) from tool result(?: #(?<number>\d{1,6}))?(?: \((?<tool>[^\n]{1,80})\))?:$/],
  ["pi, OpenCode", /^Attached (?:image\(s\)|images?|media) from tool results?:$/],
  ["Crush", /^(?:Here is the|Additional) media content from the tool result:$/],
  [
    "agents that name the call",
    /^\[?(?:The )?images?(?: returned)? (?:from|by) tool call (?<callId>[\w-]{1,128})(?:, item \d+)?[:.]?\]?$/i,
  ],
  [
    "agents that name none",
    /^\[?(?:Here (?:is|are) )?(?:the )?(?:images?|screenshots?)(?: output| result)? (?:returned )?(?:from|by) the tool (?:calls?|results?)(?: above)?[:.]?\]?$/i,
  ],
  ["Pydantic AI", /^This is file (?<file>[^\n]{1,128}):$/],
];

/** The phrases by which results announce an image: those of Cline, Roo, goose, Crush, pi and others. */
const ANNOUNCED =
  /\(see following user message for images?\)|an image that is uploaded in the next message|\[Image\/media content loaded - see attached file\]|\(see attached (?:image|media)\)|image attached in the (?:next|following) message/gi;

/** After a result with this text, LibreChat also sends the result's text, so any text after it is the tool's. */
const ALL_FOLLOWS = "Tool response is included in the next message as a Human message";

/** A request's messages with the images in their results, and without the user messages that the images came in. */
export function withToolImages(messages: readonly ChatMessage[]): readonly IndexedMessage[] {
  const kept: IndexedMessage[] = [];
  const toolNames = resultNames(messages);
  let group = new ResultGroup();
  const close = () => {
    for (const [at, message] of group.complete()) kept[at] = { ...(kept[at] as IndexedMessage), message };
    group = new ResultGroup();
  };
  messages.forEach((message, index) => {
    const toolName = toolNames.get(index) ?? null;
    if (message.role === "tool" || message.role === "function") {
      if (group.hasImages) close();
      group.add({ message, toolName, at: kept.length });
    } else if (message.role === "user" && group.take(message)) return;
    else if (message.role === "user" || message.role === "assistant") close();
    kept.push({ message, index, toolName });
  });
  close();
  return kept;
}

interface Result {
  readonly message: ChatMessage;
  readonly toolName: string | null;
  /** The result's index among the messages that are kept. */
  readonly at: number;
}

/** Results that follow one another, and the images after them. */
class ResultGroup {
  readonly #results: (Result & { readonly parts: ContentPart[] })[] = [];
  /** Images that no heading assigns to a result. */
  readonly #unassigned: ContentPart[] = [];
  #index: ReturnType<typeof indexOf> | null = null;
  hasImages = false;

  add(result: Result): void {
    this.#results.push({ ...result, parts: [] });
  }

  /** Takes a user message if it holds nothing but images of these results. @returns whether it does */
  take({ content, name }: ChatMessage): boolean {
    if (this.#results.length === 0 || !Array.isArray(content) || name) return false;
    this.#index ??= indexOf(this.#results);
    const { allFollows, announced } = this.#index;
    if (allFollows !== undefined && !this.hasImages) {
      this.#results[allFollows]?.parts.push(...content);
      this.hasImages = true;
      return true;
    }
    const images: [result: number | undefined, part: ContentPart][] = [];
    let result: number | undefined;
    let isHeaded = false;
    for (const part of content) {
      if (!isText(part)) images.push([result, part]);
      else if (part.text.trim() !== "") {
        const heading = readHeading(part.text.trim());
        if (!heading || (heading.file !== undefined && !this.#index.byFile.has(heading.file))) return false;
        isHeaded = true;
        result = this.#resultOf(heading, this.#index);
      }
    }
    if (images.length === 0 || !(isHeaded || announced.length > 0)) return false;
    for (const [at, part] of images) (at === undefined ? this.#unassigned : this.#results[at]?.parts)?.push(part);
    this.hasImages = true;
    return true;
  }

  /** The results that have images now, by their index among the messages that are kept. */
  complete(): readonly (readonly [at: number, message: ChatMessage])[] {
    const { announced = [] } = this.#index ?? {};
    // As many announcements as images: each result announced one of them.
    const isOneEach = announced.length === this.#unassigned.length;
    this.#unassigned.forEach((part, nth) => {
      const result = (isOneEach ? announced[nth] : announced.at(-1)) ?? this.#results.length - 1;
      this.#results[result]?.parts.push(part);
    });
    return this.#results.flatMap(({ message, at, parts }) => {
      if (parts.length === 0) return [];
      const { content } = message;
      const own = typeof content === "string" ? [{ type: "text", text: content }] : (content ?? []);
      return [[at, { ...message, content: [...own, ...parts] }] as const];
    });
  }

  /** The number decides, unless the name is another tool's: then the client counts differently, and the name decides. */
  #resultOf({ number, tool, callId, file }: Heading, { byCall, byTool, byFile }: ReturnType<typeof indexOf>) {
    if (callId !== undefined) return byCall.get(plainId(callId));
    if (file !== undefined) return byFile.get(file);
    const named = tool === undefined ? undefined : byTool.get(tool);
    const numbered = number === undefined ? undefined : this.#results[number - 1];
    if (!numbered || number === undefined) return named;
    const isOther = tool !== undefined && numbered.toolName !== null && numbered.toolName !== tool;
    return (isOther ? named : undefined) ?? number - 1;
  }
}

function readHeading(text: string): Heading | null {
  const found = HEADINGS.map(([, form]) => form.exec(text)).find((match) => match !== null);
  if (!found) return null;
  const { number, ...said } = found.groups ?? {};
  return { ...said, ...(number === undefined ? {} : { number: Number(number) }) };
}

/** Indexes the results by everything that a heading may say about its result. */
function indexOf(results: readonly Result[]) {
  const byCall = new Map<string, number>();
  const byTool = new Map<string, number>();
  const byFile = new Map<string, number>();
  /** The results that announce images, once for each announcement. */
  const announced: number[] = [];
  let allFollows: number | undefined;
  results.forEach(({ message, toolName }, at) => {
    const text = messageText(message);
    byCall.set(plainId(message.tool_call_id ?? ""), at);
    if (toolName !== null) byTool.set(toolName, at);
    for (const [, file = ""] of text.matchAll(/\bSee file (\S{1,128})/g)) byFile.set(file, at);
    for (const _ of text.matchAll(ANNOUNCED)) announced.push(at);
    if (text.trim() === ALL_FOLLOWS) allFollows = at;
  });
  return { byCall, byTool, byFile, announced, allFollows };
}
