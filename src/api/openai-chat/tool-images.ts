/**
 * Images that a client's tool has returned, put back into its result. OpenAI's tool messages hold only text, so
 * clients send such images in a user message behind the results. No person says anything in it, and it must not
 * count as one: it would end the turn that waits for the results.
 *
 * Such a message stands right behind results, has images or files, and as text nothing but a known heading; or no
 * text at all, when a result says that its image follows. With any other text it is a person who speaks.
 */
import { isText } from "./images.ts";
import { resultNames } from "./past-message.ts";
import { type ChatMessage, type ContentPart, messageText } from "./request.ts";
import { plainId } from "./tools.ts";

export interface PlacedMessage {
  readonly message: ChatMessage;
  /** Its place in the request. */
  readonly index: number;
}

/** What a heading says of the result that its images belong to; nothing when it does not say. */
interface Heading {
  /** Counted from 1 over the results that stand together. */
  readonly number?: number;
  readonly tool?: string;
  readonly callId?: string;
  /** A result that names this file. */
  readonly file?: string;
}

/** Each matches a whole text. The clients are those in which the form was seen; others have taken it over. */
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

/** What results say of an image that follows: Cline and Roo, goose, Crush, pi, and others. */
const ANNOUNCED =
  /\(see following user message for images?\)|an image that is uploaded in the next message|\[Image\/media content loaded - see attached file\]|\(see attached (?:image|media)\)|image attached in the (?:next|following) message/gi;

/** In LibreChat's results the text follows as well, so any text is the tool's. */
const ALL_FOLLOWS = "Tool response is included in the next message as a Human message";

/** A request's messages in which each result has its images; the user messages that brought them are left out. */
export function withToolImages(messages: readonly ChatMessage[]): readonly PlacedMessage[] {
  const placed: PlacedMessage[] = [];
  const names = resultNames(messages);
  let group = new ResultGroup();
  const close = () => {
    for (const [at, message] of group.complete()) placed[at] = { message, index: placed[at]?.index ?? at };
    group = new ResultGroup();
  };
  messages.forEach((message, index) => {
    if (message.role === "tool" || message.role === "function") {
      if (group.hasImages) close();
      group.add({ message, name: names.get(index), at: placed.length });
    } else if (message.role === "user" && group.take(message)) return;
    else if (message.role === "user" || message.role === "assistant") close();
    placed.push({ message, index });
  });
  close();
  return placed;
}

interface Result {
  readonly message: ChatMessage;
  /** Its tool's, when that is known. */
  readonly name: string | undefined;
  /** Its place among the messages that are kept. */
  readonly at: number;
}

/** Results that stand together, and what came behind them. */
class ResultGroup {
  readonly #results: (Result & { readonly parts: ContentPart[] })[] = [];
  /** Images that no heading gives to a result. */
  readonly #loose: ContentPart[] = [];
  #index: ReturnType<typeof indexOf> | null = null;
  hasImages = false;

  add(result: Result): void {
    this.#results.push({ ...result, parts: [] });
  }

  /** Takes a user message if it holds nothing but images of these results. */
  take({ content, name }: ChatMessage): boolean {
    if (this.#results.length === 0 || !Array.isArray(content) || name) return false;
    this.#index ??= indexOf(this.#results);
    const { allFollows, announced } = this.#index;
    if (allFollows !== undefined && !this.hasImages) {
      this.#results[allFollows]?.parts.push(...content);
      this.hasImages = true;
      return true;
    }
    const owned: [result: number | undefined, part: ContentPart][] = [];
    let result: number | undefined;
    let isHeaded = false;
    for (const part of content) {
      if (!isText(part)) owned.push([result, part]);
      else if (part.text.trim() !== "") {
        const heading = readHeading(part.text.trim());
        if (!heading || (heading.file !== undefined && !this.#index.byFile.has(heading.file))) return false;
        isHeaded = true;
        result = this.#resultOf(heading, this.#index);
      }
    }
    if (owned.length === 0 || !(isHeaded || announced.length > 0)) return false;
    for (const [at, part] of owned) (at === undefined ? this.#loose : this.#results[at]?.parts)?.push(part);
    this.hasImages = true;
    return true;
  }

  /** The results that have got images, with their places. */
  complete(): readonly (readonly [at: number, message: ChatMessage])[] {
    const { announced = [] } = this.#index ?? {};
    const isOneEach = announced.length === this.#loose.length;
    this.#loose.forEach((part, nth) => {
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

  /** The number counts first; a name that is another tool's shows that it was counted differently. */
  #resultOf({ number, tool, callId, file }: Heading, { byCall, byTool, byFile }: ReturnType<typeof indexOf>) {
    if (callId !== undefined) return byCall.get(plainId(callId));
    if (file !== undefined) return byFile.get(file);
    const named = tool === undefined ? undefined : byTool.get(tool);
    const numbered = number === undefined ? undefined : this.#results[number - 1];
    if (!numbered || number === undefined) return named;
    const isOther = tool !== undefined && numbered.name !== undefined && numbered.name !== tool;
    return (isOther ? named : undefined) ?? number - 1;
  }
}

function readHeading(text: string): Heading | null {
  const found = HEADINGS.map(([, form]) => form.exec(text)).find((match) => match !== null);
  if (!found) return null;
  const { number, ...said } = found.groups ?? {};
  return { ...said, ...(number === undefined ? {} : { number: Number(number) }) };
}

/** Where in a group a heading's result is. */
function indexOf(results: readonly Result[]) {
  const byCall = new Map<string, number>();
  const byTool = new Map<string, number>();
  const byFile = new Map<string, number>();
  /** Once for each image that is said to follow. */
  const announced: number[] = [];
  let allFollows: number | undefined;
  results.forEach(({ message, name }, at) => {
    const text = messageText(message);
    byCall.set(plainId(message.tool_call_id ?? ""), at);
    if (name !== undefined) byTool.set(name, at);
    for (const [, file = ""] of text.matchAll(/\bSee file (\S{1,128})/g)) byFile.set(file, at);
    for (const _ of text.matchAll(ANNOUNCED)) announced.push(at);
    if (text.trim() === ALL_FOLLOWS) allFollows = at;
  });
  return { byCall, byTool, byFile, announced, allFollows };
}
