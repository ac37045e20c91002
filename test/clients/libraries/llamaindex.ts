/** `llamaindex` with `@llamaindex/openai`: its model, its chat engine and its agent. */
import { OpenAI } from "@llamaindex/openai";
import { agent } from "@llamaindex/workflow";
import { SimpleChatEngine, tool } from "llamaindex";
import { type Access, type Client, report, weather } from "../client.ts";

const connect = ({ baseURL, apiKey, model }: Access) => new OpenAI({ model, apiKey, baseURL });
const ask = (content: string) => [{ role: "user" as const, content }];

export const llamaindex = {
  text: async (access, prompt) => `${(await connect(access).chat({ messages: ask(prompt) })).message.content}`,

  stream: async (access, prompt, onText) => {
    for await (const { delta } of await connect(access).chat({ messages: ask(prompt), stream: true })) onText(delta);
  },

  turns: async (access, [first, second]) => {
    const engine = new SimpleChatEngine({ llm: connect(access) });
    await engine.chat({ message: first });
    return (await engine.chat({ message: second })).response;
  },

  tools: async (access, prompt) => {
    const { name, description, parameters, run } = weather;
    const tools = [tool({ name, description, parameters, execute: run })];
    return `${(await agent({ llm: connect(access), tools }).run(prompt)).data.result}`;
  },

  structured: async (access, prompt) => {
    const answer = await connect(access).chat({ messages: ask(prompt), responseFormat: report });
    return JSON.parse(`${answer.message.content}`);
  },
} satisfies Partial<Client>;
