/** `ai`, Vercel's AI SDK, with its own provider over both APIs of OpenAI, and with the one for compatible servers. */
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import {
  APICallError,
  generateText,
  isStepCount,
  type LanguageModel,
  type ModelMessage,
  Output,
  streamText,
  tool,
} from "ai";
import { type Access, type Client, report, statusOf, weather } from "../client.ts";

export const aiSdkOpenAI = clientOf(({ baseURL, apiKey, model }) => createOpenAI({ baseURL, apiKey }).chat(model));
export const aiSdkResponses = clientOf(({ baseURL, apiKey, model }) => createOpenAI({ baseURL, apiKey })(model));
export const aiSdkCompatible = clientOf(({ baseURL, apiKey, model }) =>
  createOpenAICompatible({ name: "synthesis", baseURL, apiKey })(model),
);

function clientOf(modelOf: (access: Access) => LanguageModel): Client {
  return {
    text: async (access, prompt) => (await generateText({ model: modelOf(access), prompt })).text,

    stream: async (access, prompt, onText) => {
      for await (const text of streamText({ model: modelOf(access), prompt }).textStream) onText(text);
    },

    turns: async (access, [first, second]) => {
      const model = modelOf(access);
      const messages: ModelMessage[] = [{ role: "user", content: first }];
      messages.push(...(await generateText({ model, messages })).response.messages);
      messages.push({ role: "user", content: second });
      return (await generateText({ model, messages })).text;
    },

    tools: async (access, prompt) => {
      const { name, description, parameters, run } = weather;
      const answer = await generateText({
        model: modelOf(access),
        prompt,
        tools: { [name]: tool({ description, inputSchema: parameters, execute: run }) },
        stopWhen: isStepCount(5),
      });
      return answer.text;
    },

    structured: async (access, prompt) => {
      const output = Output.object({ schema: report });
      return (await generateText({ model: modelOf(access), prompt, output })).output;
    },

    abort: async (access, prompt, onText, signal) => {
      for await (const text of streamText({ model: modelOf(access), prompt, abortSignal: signal }).textStream) {
        onText(text);
      }
    },

    error: (access, prompt) =>
      statusOf(generateText({ model: modelOf(access), prompt }), (thrown) =>
        APICallError.isInstance(thrown) ? thrown.statusCode : undefined,
      ),
  };
}
