/** `@openai/agents`, OpenAI's Agents SDK, over responses, which is its default, and over chat completions. */
import { Agent, MemorySession, OpenAIProvider, Runner, tool } from "@openai/agents";
import { APIError } from "openai";
import { type Access, type Client, report, statusOf, weather } from "../client.ts";

const agentOf = ({ model }: Access) => new Agent({ name: "Assistant", instructions: "Be brief.", model });

export const agentsSdk = clientOf(true);
export const agentsSdkChat = clientOf(false);

function clientOf(useResponses: boolean): Client {
  const runnerOf = ({ baseURL, apiKey }: Access) =>
    new Runner({
      modelProvider: new OpenAIProvider({ baseURL, apiKey, useResponses }),
      // Traces go to OpenAI.
      tracingDisabled: true,
    });

  return {
    text: async (access, prompt) => (await runnerOf(access).run(agentOf(access), prompt)).finalOutput ?? "",

    stream: async (access, prompt, onText) => {
      const answer = await runnerOf(access).run(agentOf(access), prompt, { stream: true });
      for await (const text of answer.toTextStream()) onText(text);
    },

    turns: async (access, [first, second]) => {
      const [runner, agent, session] = [runnerOf(access), agentOf(access), new MemorySession()];
      await runner.run(agent, first, { session });
      return (await runner.run(agent, second, { session })).finalOutput ?? "";
    },

    tools: async (access, prompt) => {
      const { name, description, parameters, run } = weather;
      const tools = [tool({ name, description, parameters, execute: run })];
      const agent = new Agent({ name: "Assistant", model: access.model, tools });
      return (await runnerOf(access).run(agent, prompt)).finalOutput ?? "";
    },

    structured: async (access, prompt) => {
      const agent = new Agent({ name: "Assistant", model: access.model, outputType: report });
      return (await runnerOf(access).run(agent, prompt)).finalOutput;
    },

    abort: async (access, prompt, onText, signal) => {
      const answer = await runnerOf(access).run(agentOf(access), prompt, { stream: true, signal });
      for await (const text of answer.toTextStream()) onText(text);
    },

    // It throws the exception of OpenAI's library.
    error: (access, prompt) =>
      statusOf(runnerOf(access).run(agentOf(access), prompt), (thrown) =>
        thrown instanceof APIError ? thrown.status : undefined,
      ),
  };
}
