/** Recognising the side requests of chat programs, also when people write or paste similar text. */
import { describe, expect, test } from "bun:test";
import { chatRequest, systemText } from "../../../src/api/openai-chat/request.ts";
import { findSideRequestForm } from "../../../src/api/openai-chat/side-requests.ts";
import {
  agentTurn,
  libreChatTitle,
  opencodeTitle,
  openWebUiRetrieval,
  openWebUiTask,
  quoted,
} from "../../support/front-ends.ts";

type Message = { role: string; content: unknown };
const user = (content: unknown): Message => ({ role: "user", content });
const assistant = (content: unknown): Message => ({ role: "assistant", content });
const system = (content: unknown): Message => ({ role: "system", content });
const of = (...messages: Message[]) => ({ messages });
const clientOf = (body: object) => {
  const request = chatRequest.parse(body);
  return findSideRequestForm(request, systemText(request))?.client ?? null;
};

const chat = [["How do I prune roses?", "In late winter, above a bud."]] as const;
const task = openWebUiTask("Find a short title for the chat.", chat);
const taskText = `${task.messages[0]?.content}`;
const CRLF = taskText.replaceAll("\n", "\r\n");
const oldLibreChat =
  'Please generate a short title, in title case.\n\n||>User:\n"Roses?"\n||>Response:\n"Prune."\n\n||>Title:';
const structured =
  "Analyze this conversation and provide:\n1. The detected language of the conversation\n" +
  "2. A concise title in the detected language (5 words or less)\n\nUser: Roses?\nAI: Prune.";
const extract = { type: "function", function: { name: "extract", parameters: { type: "object" } } };
const chatbox = (end = "The name is:") =>
  "Based on the chat history, give this conversation a name.\nKeep it short.\n\nHere's the conversation:\n\n" +
  `\`\`\`\nRoses?\n\n---------\n\nPrune.\n\`\`\`\n\nName this conversation in 10 characters or less.\n\n${end}`;
const zed =
  "Generate a concise 3-7 word title for this conversation, omitting punctuation.\nGo straight to the title, without " +
  "any preamble and prefix.\nBe descriptive. DO NOT speak in the first person.";
const nextChat =
  "Please generate a four to five word title summarizing our conversation without any lead-in, punctuation, or " +
  "symbols. Remove enclosing quotation marks.";
const dialogue = [user("Roses?"), assistant("Prune them.")];

describe("recognises the side request of", () => {
  const cases: [client: string, what: string, body: object][] = [
    ["Open WebUI", "a title", task],
    ["Open WebUI", "tags", openWebUiTask("Generate 1-3 broad tags for the themes.", chat)],
    [
      "Open WebUI",
      "follow-ups",
      openWebUiTask("Suggest follow-up questions of the **user**.", [...chat, ["And oaks?"]]),
    ],
    ["Open WebUI", "queries", openWebUiTask("Analyze the chat history, then give queries.", [["News?"]])],
    [
      "Open WebUI",
      "a title, by a template that an administrator has shortened",
      {
        messages: [
          user(`### Task:\nName it.\n\n### Chat History:\n\n<chat_history>\n${quoted(chat)}\n</chat_history>\n`),
        ],
      },
    ],
    ["Open WebUI", "a title of a chat about such a task", openWebUiTask("Find a title.", [[taskText, "A title."]])],
    [
      "Open WebUI",
      "a title of a chat with a retrieval",
      openWebUiTask("Find a title.", [[openWebUiRetrieval("What?", "x")]]),
    ],
    ["Open WebUI", "a title, with other line ends", of(user(CRLF))],
    ["Open WebUI", "a title, in a message with parts", of(user([{ type: "text", text: taskText }]))],
    ["Open WebUI", "a title, behind the model's own system prompt", of(system("Be a gardener."), user(taskText))],
    ["Open WebUI", "a title, with an empty list of tools", { ...task, tools: [] }],
    [
      "Open WebUI",
      "an autocompletion",
      of(
        user(
          "### Task:\nYou are an autocompletion system. Continue the text.\n### Context:\n<chat_history>\n\n</chat_history>\n" +
            "<type>General</type>\n<text>How do I</text>\n#### Output:\n",
        ),
      ),
    ],
    [
      "Open WebUI",
      "an emoji",
      of(
        user(
          "Your task is to reflect the speaker's likely facial expression through a fitting emoji. Be diverse.\n\n" +
            "Message: ```I like roses.```",
        ),
      ),
    ],
    [
      "Open WebUI",
      "a merged answer",
      of(
        user(
          'You have been provided with a set of responses from various models to the latest user query: "Roses?"\n\n' +
            'Merge them.\n\nResponses from models: """Prune."""\n\n"""Cut."""',
        ),
      ),
    ],
    [
      "Open WebUI",
      "a choice of tools",
      of(
        system(
          "Be a gardener.\nAvailable Tools: []\n\nYour task is to choose and return the correct tool(s) from the list of available tools.",
        ),
        user('History:\nUSER: """Roses?"""\nQuery: And oaks?'),
      ),
    ],
    ["opencode", "a title", opencodeTitle("prune the roses module")],
    [
      "opencode",
      "a title, with instruction and message in one",
      of(
        system("You are a title generator. Be short."),
        user("Generate a title for this conversation:\nprune the roses module"),
      ),
    ],
    [
      "opencode",
      "a title by an older version",
      of(
        system("You are a title generator. You output ONLY a thread title. Nothing else."),
        user("The following is the text to summarize:\n\nroses"),
      ),
    ],
    [
      "opencode",
      "a compaction",
      of(
        system("You are a helpful AI assistant tasked with summarizing conversations.\n\nBe thorough."),
        ...dialogue,
        user("Provide a detailed prompt for continuing our conversation above. Name the files."),
      ),
    ],
    [
      "opencode",
      "a compaction by a newer version",
      of(
        system("You are an anchored context summarization assistant for coding sessions."),
        user("Here is the conversation so far:\n\n<conversation>\nRoses?\n</conversation>\n\nSummarize it."),
      ),
    ],
    ["LibreChat", "a title", libreChatTitle("Roses?", "Prune them.")],
    [
      "LibreChat",
      "a title as structured output",
      {
        ...of(user(structured)),
        response_format: { type: "json_schema", json_schema: { name: "extract", schema: { type: "object" } } },
      },
    ],
    [
      "LibreChat",
      "a title as a forced call",
      {
        ...of(user(structured)),
        tools: [extract],
        tool_choice: { type: "function", function: { name: "extract" } },
      },
    ],
    ["LibreChat", "a title by an older version", of(system(oldLibreChat))],
    ["LibreChat", "a title by an older version, as a user message", of(user(oldLibreChat))],
    [
      "LobeChat",
      "a title",
      of(
        system(
          "You are a professional conversation summarizer. Generate a concise title that fits.\n\nRules:\n- Short",
        ),
        user("user: Roses?\nassistant: Prune."),
      ),
    ],
    [
      "LobeChat",
      "a title by an older version",
      of(
        system(
          "You are an assistant skilled in conversation who needs to summarize user conversations into titles within 10 characters.",
        ),
        user("user: Roses?\n\nPlease summarize."),
      ),
    ],
    [
      "Cherry Studio",
      "a title",
      of(
        system(
          "You are an assistant skilled in conversation. You need to summarize the user's conversation into a title within 10 words.",
        ),
        user('[{"role":"user","content":"Roses?"}]'),
      ),
    ],
    [
      "Big-AGI",
      "a title",
      of(
        system(
          "You are an AI conversation titles assistant who specializes in creating expressive yet few-words chat titles.",
        ),
        user("Analyze the given short conversation.\n\n```\n- You: Roses?\n```"),
      ),
    ],
    [
      "HuggingChat",
      "a title",
      of(system("You are a chat thread titling assistant.\nBe short."), user('User message: "Roses?"')),
    ],
    ["Chatbox", "a title", of(user(chatbox()))],
    ["Jan", "a title", of(user('Summarize in a 10-word Title. Give the title only. Here is the message: "Roses?"'))],
    [
      "Goose",
      "a session name",
      of(
        system("Reply with only a description in four words or less"),
        user(
          "Here are the first few user messages:\nRoses?\n\nDescribe this session - reply *ONLY* with the description",
        ),
      ),
    ],
    [
      "Continue",
      "a title",
      of(
        user(
          "Given the following... please reply with a title for the chat that is 3-4 words in length, no more.\n\nPrune them.",
        ),
      ),
    ],
    [
      "AI SDK chatbot template",
      "a title",
      of(
        system(
          "\n\n    - you will generate a short title based on the first message a user begins a conversation with\n    - be short",
        ),
        user('{"text":"Roses?"}'),
      ),
    ],
    [
      "aider",
      "a commit message",
      of(
        system(
          "You are an expert software engineer that generates concise, one-line Git commit messages based on the provided diffs.",
        ),
        user("# Diffs:\n+ rose"),
      ),
    ],
    ["Zed", "a title, behind the conversation", of(...dialogue, user("And oaks?"), assistant("Also."), user(zed))],
    ["NextChat", "a title, behind the conversation", of(system("Be kind."), ...dialogue, user(nextChat))],
    [
      "Roo Code",
      "a summary, behind the conversation",
      of(
        system("Your task is to create a detailed summary of the conversation so far, paying attention to files."),
        ...dialogue,
        user("Summarize the conversation so far, as described in the prompt instructions."),
      ),
    ],
  ];
  test.each(cases)("%s: %s", (client, _what, body) => {
    expect(clientOf(body)).toBe(client);
  });
});

describe("does not take for a side request", () => {
  const cases: [what: string, body: object][] = [
    ["a first message", of(user("How do I prune roses?"))],
    ["a person's request for a title", of(user("Generate a title for this conversation:\nroses and oaks"))],
    [
      "a person's request for a title in a conversation",
      of(...dialogue, user("Provide a concise, 5-word-or-less title for the conversation")),
    ],
    [
      "the instruction of a known form without its chat",
      of(user("Provide a concise, 5-word-or-less title for the conversation")),
    ],
    // Open WebUI's retrieval
    [
      "a person's message with retrieved documents",
      of(user(openWebUiRetrieval("How do I prune roses?", "In winter."))),
    ],
    [
      "a person's message with retrieved documents, in an older form",
      of(user(openWebUiRetrieval("How do I prune roses?", "In winter.", true))),
    ],
    ["a person's message with a retrieved log of such tasks", of(user(openWebUiRetrieval("What is this?", taskText)))],
    [
      "a person's message with such a log at its end",
      of(user(`${openWebUiRetrieval("What is this?", "x")}\n${taskText}`)),
    ],
    // People who write or paste what looks like a task
    [
      "a person's message with the same headings",
      of(user("### Task:\nPrune the roses.\n\n### Guidelines:\n- Carefully.")),
    ],
    [
      "a person's message with the same headings and a history",
      of(user("### Task:\nSummarise.\n### Chat History:\nUSER: hi\nASSISTANT: hello")),
    ],
    ["a template that is not filled in", of(user(taskText.replace(quoted(chat), "{{MESSAGES:END:2}}")))],
    ["a template in a code fence", of(user(`\`\`\`\n${taskText}\n\`\`\``))],
    ["a template with a question in front", of(user(`What does this prompt do?\n\n${taskText}`))],
    ["a template with a question behind", of(user(`${taskText}\n\nHow can I improve this prompt?`))],
    ["a template in the middle of a conversation", of(...dialogue, user(taskText))],
    ["a template behind an unanswered message", of(user("Look at this:"), user(taskText))],
    ["a template in a request with tools", { ...task, tools: [extract] }],
    ["a known prompt with a question behind", of(user(`${chatbox()}\n\nIs this a good prompt?`))],
    ["a known instruction with a question behind", of(...dialogue, user(`${zed}\nHow would you improve this prompt?`))],
    ["a known instruction that was answered", of(...dialogue, user(nextChat), assistant("Roses"), user("And oaks?"))],
    ["a result behind a known instruction", of(user(nextChat), assistant(""), { role: "tool", content: "x" })],
    // System prompts that people write
    ["a person's own title generator", of(system("You are a title generator for novels."), user("A book about roses"))],
    [
      "a known system prompt in a conversation",
      of(
        system("You are a professional conversation summarizer. Generate a concise title that fits."),
        ...dialogue,
        user("Shorter, please."),
      ),
    ],
    [
      "a conversation with a summarizer",
      of(
        system("You are a helpful AI assistant tasked with summarizing conversations."),
        ...dialogue,
        user("Provide a detailed summary."),
      ),
    ],
    ["an agent's turn", agentTurn([user("Generate a title for this conversation:")], "You are a title generator.")],
    ["only a system prompt", of(system("Prune the roses."))],
    ["an empty message", of(user(""))],
  ];
  test.each(cases)("%s", (_what, body) => {
    expect(clientOf(body)).toBeNull();
  });
});

test("checks thirty megabytes that look like a form in linear time", () => {
  const repeated = "### Chat History:\n<chat_history>\n".repeat(900_000);
  expect(clientOf(of(user(`### Task:\n${repeated}`)))).toBeNull();
  expect(clientOf(of(user(`Please generate ||>User: ${repeated}`)))).toBeNull();
});
