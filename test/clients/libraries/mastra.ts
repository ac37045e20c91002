/** `@mastra/core`: its agent, with a model that is named by its address. */
import { Agent } from "@mastra/core/agent";
import { createTool } from "@mastra/core/tools";
import { type Access, type Client, report, weather } from "../client.ts";

const agentOf = ({ baseURL, apiKey, model }: Access, tools = {}) =>
  new Agent({
    id: "assistant",
    name: "Assistant",
    instructions: "Be brief.",
    model: { id: `synthesis/${model}`, url: baseURL, apiKey },
    tools,
  });

export const mastra = {
  text: async (access, prompt) => (await agentOf(access).generate(prompt)).text,

  stream: async (access, prompt, onText) => {
    for await (const text of (await agentOf(access).stream(prompt)).textStream) onText(text);
  },

  turns: async (access, [first, second]) => {
    const agent = agentOf(access);
    const { text } = await agent.generate(first);
    const answer = await agent.generate([
      { role: "user", content: first },
      { role: "assistant", content: text },
      { role: "user", content: second },
    ]);
    return answer.text;
  },

  tools: async (access, prompt) => {
    const { name, description, parameters, run } = weather;
    const tool = createTool({ id: name, description, inputSchema: parameters, execute: async (input) => run(input) });
    return (await agentOf(access, { [name]: tool }).generate(prompt)).text;
  },

  structured: async (access, prompt) =>
    (await agentOf(access).generate(prompt, { structuredOutput: { schema: report } })).object,

  abort: async (access, prompt, onText, signal) => {
    for await (const text of (await agentOf(access).stream(prompt, { abortSignal: signal })).textStream) onText(text);
  },
} satisfies Partial<Client>;
