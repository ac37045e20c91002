/** A dialogue as the model receives it: turns of user and assistant that consist of content blocks of Anthropic's API. */

export interface TextBlock {
  readonly type: "text";
  readonly text: string;
}

export interface ImageBlock {
  readonly type: "image";
  readonly source: { readonly type: "base64"; readonly media_type: string; readonly data: string };
}

export interface DocumentBlock {
  readonly type: "document";
  readonly title: string;
  readonly source: { readonly type: "base64"; readonly media_type: "application/pdf"; readonly data: string };
}

export interface ToolUseBlock {
  readonly type: "tool_use";
  readonly id: string;
  /** The name that Claude knows the tool by. */
  readonly name: string;
  readonly input: Readonly<Record<string, unknown>>;
}

interface ToolResultBlock {
  readonly type: "tool_result";
  readonly tool_use_id: string;
  readonly is_error: boolean;
  readonly content: readonly (TextBlock | ImageBlock | DocumentBlock)[];
}

export type Block = TextBlock | ImageBlock | DocumentBlock | ToolUseBlock | ToolResultBlock;

/** The turns of a dialogue alternate between user and assistant; the first and the last are the user's. */
export interface DialogueTurn {
  readonly role: "user" | "assistant";
  readonly content: readonly Block[];
}

/** The content of a message: a text that goes into a channel tag, or blocks that reach the model as they are. */
export type MessageContent = string | readonly Block[];

/** The text of a message, with a word for each block that is none. */
export const contentText = (content: MessageContent): string =>
  typeof content === "string"
    ? content
    : content.map((block) => (block.type === "text" ? block.text : `[${block.type}]`)).join("\n");
