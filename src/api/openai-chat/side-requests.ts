/**
 * What chat programs ask a model for themselves: titles, tags, follow-up questions, search queries, summaries. Such a
 * side request often carries the name of the chat that it is about, and must not become a turn of that conversation.
 *
 * Each form is recognised by fixed text of its program, in the place where that program puts it. A person may paste
 * any of these texts into a chat: a form that can stand in a message is therefore the request's only message, or a
 * long fixed text that is the whole last message.
 */
import { type ChatRequest, messageText } from "./request.ts";

export interface SideRequestForm {
  readonly client: string;
  readonly purpose: string;
  readonly system?: TextPattern;
  /** The request's only message, which is a user message or, where there is none, the system prompt. */
  readonly only?: TextPattern;
  /** The first user message, in a request without answers. */
  readonly first?: TextPattern;
  /** The last message, behind the whole conversation. */
  readonly last?: TextPattern;
  /** It may offer one tool, if it forces the model to call it: the program reads the answer from the call's input. */
  readonly forcesTool?: true;
}

type TextPattern = (text: string) => boolean;

/** Open WebUI's task templates, and what its retrieval template adds to a person's message, begin with the same line. */
const TASK = "### Task:";
const HISTORY_HEADING = "### Chat History:";
const HISTORY = "<chat_history>";
const HISTORY_END = "</chat_history>";
/** Open WebUI writes each message of the chat behind its role. */
const ROLE_LABEL = /^(?:user|assistant|system|tool): /i;
/** What stands around these is a person's question and what was found for it. */
const RETRIEVAL_TAGS = ["<context>", "<user_query>", "<source"];

const FORMS: readonly SideRequestForm[] = [
  { client: "Open WebUI", purpose: "title, tags, follow-ups, search queries, image prompt", only: isChatHistoryTask },
  {
    client: "Open WebUI",
    purpose: "autocompletion",
    only: written([TASK, "You are an autocompletion system.", HISTORY, "<type>", "<text>"], "#### Output:"),
  },
  {
    client: "Open WebUI",
    purpose: "emoji",
    only: written(
      ["Your task is to reflect the speaker's likely facial expression through a fitting emoji.", "Message: "],
      "```",
    ),
  },
  {
    client: "Open WebUI",
    purpose: "one answer made of several models' answers",
    only: written(
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
    // A model's own system prompt may stand in front.
    system: (text) => text.includes("Your task is to choose and return the correct tool(s) from the list of available"),
    only: oneOf(written(["Query: "]), written(["History:", "Query: "])),
  },
  {
    client: "opencode",
    purpose: "title",
    system: written(["You are a title generator"]),
    first: written(["Generate a title for this conversation:"]),
  },
  {
    client: "opencode",
    purpose: "title",
    system: written(["You are a title generator. You output ONLY a thread title."]),
  },
  {
    client: "opencode",
    purpose: "compaction",
    system: oneOf(
      written(["You are a helpful AI assistant tasked with summarizing conversations."]),
      written(["You are an anchored context summarization assistant"]),
      written(["You are summarizing a conversation for continuation by another agent."]),
    ),
    last: oneOf(
      written(["Provide a detailed prompt for continuing our conversation above."]),
      written(["Create a new anchored summary from"]),
      written(["Update the anchored summary below"]),
      written(["Here is the conversation so far:", "<conversation>", "</conversation>"]),
    ),
  },
  {
    client: "opencode",
    purpose: "summary",
    system: written(["Summarize what was done in this conversation. Write like a pull request description."]),
    last: written(["Summarize the above conversation according to your system prompt"]),
  },
  {
    client: "LibreChat",
    purpose: "title",
    only: written(["Provide a concise, 5-word-or-less title for the conversation", "\nConversation:"]),
  },
  {
    client: "LibreChat",
    purpose: "title",
    only: written([
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
      written(["Please generate ", "||>User:"], "||>Title:"),
      written(["Detect user language and write in the same language ", "||>User:"], "||>Title:"),
    ),
  },
  {
    client: "LobeChat",
    purpose: "title",
    system: oneOf(
      written(["You are a professional conversation summarizer. Generate a concise title"]),
      written(["You are an assistant skilled in conversation who needs to summarize user conversations into titles"]),
    ),
  },
  {
    client: "Cherry Studio",
    purpose: "title",
    system: written([
      "You are an assistant skilled in conversation. You need to summarize the user's conversation into a title",
    ]),
  },
  {
    client: "Big-AGI",
    purpose: "title",
    system: written(["You are an AI conversation titles assistant who specializes in creating"]),
  },
  {
    client: "HuggingChat",
    purpose: "title",
    system: written(["You are a chat thread titling assistant."]),
    only: written(['User message: "'], '"'),
  },
  {
    client: "Chatbox",
    purpose: "title",
    only: written(
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
    only: written(["Summarize in a ", '-word Title. Give the title only. Here is the message: "'], '"'),
  },
  {
    client: "Goose",
    purpose: "session name",
    only: written(["Here are the first few user messages:"], "reply *ONLY* with the description"),
  },
  {
    client: "Continue",
    purpose: "title",
    only: written(["Given the following... please reply with a title for the chat that is 3-4 words in length"]),
  },
  {
    client: "AI SDK chatbot template",
    purpose: "title",
    system: written(["- you will generate a short title based on the first message a user begins a conversation with"]),
  },
  {
    client: "aider",
    purpose: "commit message",
    system: written(["You are an expert software engineer that generates concise, one-line Git commit messages"]),
  },
  {
    client: "Zed",
    purpose: "title",
    last: written(
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
    last: written(
      ["Please generate a four to five word title summarizing our conversation without any lead-in"],
      "Remove enclosing quotation marks.",
    ),
  },
  {
    client: "Roo Code",
    purpose: "summary",
    system: written(["Your task is to create a detailed summary of the conversation so far"]),
    last: written(["Summarize the conversation so far, as described in the prompt instructions."]),
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
 * The text begins with the first piece, has the others behind it in this order, and ends with `ending`.
 * Blanks around the text do not count.
 */
function written([beginning, ...others]: readonly [string, ...string[]], ending = ""): TextPattern {
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

/** Whether a program has put what it found for a person's message around that message. */
export function hasRetrievalTags(text: string): boolean {
  return RETRIEVAL_TAGS.some((tag) => text.includes(tag));
}

/** Instructions, then the end of the chat between tags, and nothing behind it. */
function isChatHistoryTask(text: string): boolean {
  const trimmed = text.trim();
  const heading = trimmed.indexOf(HISTORY_HEADING);
  if (!trimmed.startsWith(TASK) || heading < 0 || !trimmed.endsWith(HISTORY_END)) return false;
  if (hasRetrievalTags(trimmed.slice(0, heading))) return false;
  const opening = trimmed.slice(heading + HISTORY_HEADING.length, heading + 200).trimStart();
  return opening.startsWith(HISTORY) && ROLE_LABEL.test(opening.slice(HISTORY.length).trimStart());
}
