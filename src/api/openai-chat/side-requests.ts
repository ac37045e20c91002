/**
 * Side requests: the requests that chat programs make for themselves, for titles, tags, follow-up questions, search
 * queries and summaries. A side request often names the conversation that it is about, and must not become a turn of it.
 *
 * Each form is recognised by fixed text of its program, at the position where that program puts it. A person may paste
 * any of these texts into a chat. A form that can appear in a message is therefore accepted only as the request's only
 * message, or as a long fixed text that makes up the whole last message.
 */
import { type ChatRequest, messageText } from "./request.ts";

export interface SideRequestForm {
  readonly client: string;
  readonly purpose: string;
  readonly system?: TextPattern;
  /** The request's only message: a user message, or the system prompt when there is no user message. */
  readonly only?: TextPattern;
  /** The first user message of a request that has no assistant messages. */
  readonly first?: TextPattern;
  /** The last message, which follows the whole conversation. */
  readonly last?: TextPattern;
  /** The request may force the model to call one tool: the program reads the answer from the call's arguments. */
  readonly forcesTool?: true;
}

type TextPattern = (text: string) => boolean;

/** The first line of Open WebUI's task templates. Its retrieval template begins a person's message with the same line. */
const TASK = "### Task:";
const HISTORY_HEADING = "### Chat History:";
const HISTORY = "<chat_history>";
const HISTORY_END = "</chat_history>";
/** Open WebUI writes the role in front of each message of the chat. */
const ROLE_LABEL = /^(?:user|assistant|system|tool): /i;
/** Tags of a retrieval template: the message is a person's question, with the documents that were found for it. */
const RETRIEVAL_TAGS = ["<context>", "<user_query>", "<source"];

const FORMS: readonly SideRequestForm[] = [
  { client: "Open WebUI", purpose: "title, tags, follow-ups, search queries, image prompt", only: isChatHistoryTask },
  {
    client: "Open WebUI",
    purpose: "autocompletion",
    only: template([TASK, "You are an autocompletion system.", HISTORY, "<type>", "<text>"], "#### Output:"),
  },
  {
    client: "Open WebUI",
    purpose: "emoji",
    only: template(
      ["Your task is to reflect the speaker's likely facial expression through a fitting emoji.", "Message: "],
      "```",
    ),
  },
  {
    client: "Open WebUI",
    purpose: "one answer made of several models' answers",
    only: template(
      [
        "You have been provided with a set of responses from various models to the latest user query: ",
        "Responses from models: ",
      ],
      '"""',
    ),
  },
  {
    client: "Open WebUI",
    purpose: "choice of tools",
    // The model's own system prompt may come before this text.
    system: (text) => text.includes("Your task is to choose and return the correct tool(s) from the list of available"),
    only: oneOf(template(["Query: "]), template(["History:", "Query: "])),
  },
  {
    client: "opencode",
    purpose: "title",
    system: template(["You are a title generator"]),
    first: template(["Generate a title for this conversation:"]),
  },
  {
    client: "opencode",
    purpose: "title",
    system: template(["You are a title generator. You output ONLY a thread title."]),
  },
  {
    client: "opencode",
    purpose: "compaction",
    system: oneOf(
      template(["You are a helpful AI assistant tasked with summarizing conversations."]),
      template(["You are an anchored context summarization assistant"]),
      template(["You are summarizing a conversation for continuation by another agent."]),
    ),
    last: oneOf(
      template(["Provide a detailed prompt for continuing our conversation above."]),
      template(["Create a new anchored summary from"]),
      template(["Update the anchored summary below"]),
      template(["Here is the conversation so far:", "<conversation>", "</conversation>"]),
    ),
  },
  {
    client: "opencode",
    purpose: "summary",
    system: template(["Summarize what was done in this conversation. Write like a pull request description."]),
    last: template(["Summarize the above conversation according to your system prompt"]),
  },
  {
    client: "LibreChat",
    purpose: "title",
    only: template(["Provide a concise, 5-word-or-less title for the conversation", "\nConversation:"]),
  },
  {
    client: "LibreChat",
    purpose: "title",
    only: template([
      "Analyze this conversation and provide:",
      "1. The detected language of the conversation",
      "2. A concise title in the detected language",
    ]),
    forcesTool: true,
  },
  {
    client: "LibreChat",
    purpose: "title",
    only: oneOf(
      template(["Please generate ", "||>User:"], "||>Title:"),
      template(["Detect user language and write in the same language ", "||>User:"], "||>Title:"),
    ),
  },
  {
    client: "LobeChat",
    purpose: "title",
    system: oneOf(
      template(["You are a professional conversation summarizer. Generate a concise title"]),
      template(["You are an assistant skilled in conversation who needs to summarize user conversations into titles"]),
    ),
  },
  {
    client: "Cherry Studio",
    purpose: "title",
    system: template([
      "You are an assistant skilled in conversation. You need to summarize the user's conversation into a title",
    ]),
  },
  {
    client: "Big-AGI",
    purpose: "title",
    system: template(["You are an AI conversation titles assistant who specializes in creating"]),
  },
  {
    client: "HuggingChat",
    purpose: "title",
    system: template(["You are a chat thread titling assistant."]),
    only: template(['User message: "'], '"'),
  },
  {
    client: "Chatbox",
    purpose: "title",
    only: template(
      [
        "Based on the chat history, give this conversation a ",
        "Here's the conversation:",
        "Name this conversation in ",
      ],
      " is:",
    ),
  },
  {
    client: "Jan",
    purpose: "title",
    only: template(["Summarize in a ", '-word Title. Give the title only. Here is the message: "'], '"'),
  },
  {
    client: "Goose",
    purpose: "session name",
    only: template(["Here are the first few user messages:"], "reply *ONLY* with the description"),
  },
  {
    client: "Continue",
    purpose: "title",
    only: template(["Given the following... please reply with a title for the chat that is 3-4 words in length"]),
  },
  {
    client: "AI SDK chatbot template",
    purpose: "title",
    system: template([
      "- you will generate a short title based on the first message a user begins a conversation with",
    ]),
  },
  {
    client: "aider",
    purpose: "commit message",
    system: template(["You are an expert software engineer that generates concise, one-line Git commit messages"]),
  },
  {
    client: "Zed",
    purpose: "title",
    last: template(
      [
        "Generate a concise 3-7 word title for this conversation, omitting punctuation.",
        "Go straight to the title, without any preamble",
      ],
      "DO NOT speak in the first person.",
    ),
  },
  {
    client: "NextChat",
    purpose: "title",
    last: template(
      ["Please generate a four to five word title summarizing our conversation without any lead-in"],
      "Remove enclosing quotation marks.",
    ),
  },
  {
    client: "Roo Code",
    purpose: "summary",
    system: template(["Your task is to create a detailed summary of the conversation so far"]),
    last: template(["Summarize the conversation so far, as described in the prompt instructions."]),
  },
];

/**
 * The known form of a chat program's side request.
 * @param system the text of the request's system and developer messages
 * @returns null for every other request
 */
export function findSideRequestForm(request: ChatRequest, system: string): SideRequestForm | null {
  const { messages } = request;
  const said = messages.filter(({ role }) => role !== "system" && role !== "developer");
  const users = said.filter(({ role }) => role === "user");
  const hasAnswers = users.length < said.length;
  const [first, ...more] = users.map(messageText);
  const only = hasAnswers || more.length > 0 ? null : (first ?? system);
  const last = said.at(-1)?.role === "user" ? (more.at(-1) ?? first) : undefined;
  const fits = (pattern: TextPattern | undefined, text: string | null | undefined): boolean =>
    pattern === undefined || (typeof text === "string" && pattern(text));
  const toolCount = request.tools?.length ?? 0;
  const isForced = toolCount === 1 && typeof request.tool_choice === "object" && request.tool_choice !== null;
  const form = FORMS.find(
    (one) =>
      (toolCount === 0 || (one.forcesTool === true && isForced)) &&
      (one.last !== undefined || !hasAnswers) &&
      fits(one.system, system) &&
      fits(one.only, only) &&
      fits(one.first, first) &&
      fits(one.last, last),
  );
  return form ?? null;
}

/**
 * Matches a text that begins with the first piece, contains the other pieces in this order, and ends with `ending`.
 * White space around the text is ignored.
 */
function template([beginning, ...others]: readonly [string, ...string[]], ending = ""): TextPattern {
  return (text) => {
    const trimmed = text.trim();
    if (!trimmed.startsWith(beginning) || !trimmed.endsWith(ending)) return false;
    let from = beginning.length;
    return others.every((other) => {
      const at = trimmed.indexOf(other, from);
      from = at + other.length;
      return at >= 0;
    });
  };
}

function oneOf(...patterns: readonly TextPattern[]): TextPattern {
  return (text) => patterns.some((pattern) => pattern(text));
}

/** Whether the text is a person's message with the documents that a program has found for it. */
export function hasRetrievalTags(text: string): boolean {
  return RETRIEVAL_TAGS.some((tag) => text.includes(tag));
}

/** Matches instructions followed by the last messages of the chat between tags, and nothing behind these. */
function isChatHistoryTask(text: string): boolean {
  const trimmed = text.trim();
  const heading = trimmed.indexOf(HISTORY_HEADING);
  if (!trimmed.startsWith(TASK) || heading < 0 || !trimmed.endsWith(HISTORY_END)) return false;
  if (hasRetrievalTags(trimmed.slice(0, heading))) return false;
  const opening = trimmed.slice(heading + HISTORY_HEADING.length, heading + 200).trimStart();
  return opening.startsWith(HISTORY) && ROLE_LABEL.test(opening.slice(HISTORY.length).trimStart());
}
