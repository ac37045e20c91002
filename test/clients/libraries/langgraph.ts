/** `@langchain/openai`: its chat model, and an agent of LangGraph with a checkpointer and threads. */
import { tool } from "@langchain/core/tools";
import { MemorySaver } from "@langchain/langgraph";
import { ChatOpenAI } from "@langchain/openai";
import { createAgent } from "langchain";
import { APIError } from "openai";
import { type Access, type Client, report, statusOf, weather } from "../client.ts";

const connect = ({ baseURL, apiKey, model }: Access) => new ChatOpenAI({ model, apiKey, configuration: { baseURL } });
const ask = (content: string) => ({ messages: [{ role: "user", content }] });

export const langgraph: Client = {
  text: async (access, prompt) => (await connect(access).invoke(prompt)).text,

  stream: async (access, prompt, onText) => {
    for await (const chunk of await connect(access).stream(prompt)) onText(chunk.text);
  },

  turns: async (access, [first, second]) => {
    const agent = createAgent({ model: connect(access), tools: [], checkpointer: new MemorySaver() });
    const thread = { configurable: { thread_id: "1" } };
    await agent.invoke(ask(first), thread);
    return (await agent.invoke(ask(second), thread)).messages.at(-1)?.text ?? "";
  },

  tools: async (access, prompt) => {
    const { name, description, parameters, run } = weather;
    const tools = [tool(run, { name, description, schema: parameters })];
    const agent = createAgent({ model: connect(access), tools });
    return (await agent.invoke(ask(prompt))).messages.at(-1)?.text ?? "";
  },

  structured: (access, prompt) => connect(access).withStructuredOutput(report).invoke(prompt),

  abort: async (access, prompt, onText, signal) => {
    for await (const chunk of await connect(access).stream(prompt, { signal })) onText(chunk.text);
  },

  // It throws the exception of OpenAI's library.
  error: (access, prompt) =>
    statusOf(connect(access).invoke(prompt), (thrown) => (thrown instanceof APIError ? thrown.status : undefined)),
};

/** LangChain's other way to an object: a tool that must be called, and whose call is never answered. */
export const langchainByTool = {
  structured: (access, prompt) =>
    connect(access).withStructuredOutput(report, { method: "functionCalling" }).invoke(prompt),
} satisfies Partial<Client>;
