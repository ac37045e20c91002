/** Requests as other chat programs send them. Their fixed phrases are original, the instructions are ours. */

type Message = { role: string; content: unknown };
export type Said = readonly [person: string, answer?: string | undefined];

const user = (content: unknown): Message => ({ role: "user", content });
const system = (content: string): Message => ({ role: "system", content });
/** A chat history as most of these programs quote it. */
export const quoted = (chat: readonly Said[], person = "USER", model = "ASSISTANT"): string =>
  chat
    .flatMap(([asked, answer]) => [`${person}: ${asked}`, ...(answer === undefined ? [] : [`${model}: ${answer}`])])
    .join("\n");

/** A task of Open WebUI, which ends with the newest messages of the chat. */
export const openWebUiTask = (instruction: string, chat: readonly Said[], more: object = {}) => ({
  model: "synthesis-claude-bridge",
  stream: false,
  messages: [
    user(
      [
        "### Task:",
        instruction,
        "### Guidelines:",
        "- Use the language of the chat.",
        "### Output:",
        'JSON format: { "result": "..." }',
        "### Chat History:",
        "<chat_history>",
        quoted(chat),
        "</chat_history>",
      ].join("\n"),
    ),
  ],
  ...more,
});

/** A user's message as Open WebUI sends it with retrieved context. It is a turn. */
export const openWebUiRetrieval = (question: string, found: string, queryTag = false): string =>
  [
    "### Task:",
    "Respond to the user query using the provided context.",
    "### Guidelines:",
    "- Cite the source.",
    "### Output:",
    "A clear answer.",
    "<context>",
    `<source id="1" name="notes.md">${found}</source>`,
    "</context>",
    queryTag ? `<user_query>\n${question}\n</user_query>` : question,
  ].join("\n");

const TOOLS = ["bash", "read", "edit"].map((name) => ({
  type: "function",
  function: { name, description: `Does ${name}.`, parameters: { type: "object", properties: {} } },
}));

/** A turn of opencode, or of a similar program. */
export const agentTurn = (messages: readonly Message[], prompt = "You are a coding agent. Use the tools.") => ({
  model: "synthesis-claude-bridge",
  stream: true,
  tools: TOOLS,
  messages: [system(prompt), ...messages],
});
export const opencodeTitle = (first: string) => ({
  model: "synthesis-claude-bridge",
  stream: true,
  messages: [
    system("You are a title generator. You output ONLY a thread title. Nothing else.\n\nKeep it short."),
    user("Generate a title for this conversation:\n"),
    user(first),
  ],
});

export const libreChatTitle = (person: string, answer: string) => ({
  model: "synthesis-claude-bridge",
  stream: false,
  messages: [
    user(
      "Provide a concise, 5-word-or-less title for the conversation, using title case conventions. " +
        `Only return the title itself.\n\nConversation:\nUser: ${person}\nAI: ${answer}`,
    ),
  ],
});
