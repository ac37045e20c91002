/** `openai`, OpenAI's own library: requests by hand, its tool runner and its `parse`. */
import OpenAI from "openai";
import { zodFunction, zodResponseFormat } from "openai/helpers/zod";
import { type Access, type Client, report, weather } from "../client.ts";

const connect = ({ baseURL, apiKey }: Access) => new OpenAI({ baseURL, apiKey });

export const openai: Client = {
  text: async (access, prompt) => {
    const { choices } = await connect(access).chat.completions.create({
      model: access.model,
      messages: [{ role: "user", content: prompt }],
    });
    return choices[0]?.message.content ?? "";
  },

  stream: async (access, prompt, onText) => {
    const messages = [{ role: "user" as const, content: prompt }];
    const chunks = await connect(access).chat.completions.create({ model: access.model, messages, stream: true });
    for await (const chunk of chunks) onText(chunk.choices[0]?.delta.content ?? "");
  },

  turns: async (access, [first, second]) => {
    const { completions } = connect(access).chat;
    const messages: OpenAI.ChatCompletionMessageParam[] = [{ role: "user", content: first }];
    const answer = await completions.create({ model: access.model, messages });
    if (answer.choices[0]) messages.push(answer.choices[0].message);
    messages.push({ role: "user", content: second });
    const { choices } = await completions.create({ model: access.model, messages });
    return choices[0]?.message.content ?? "";
  },

  tools: async (access, prompt) => {
    const { name, description, parameters, run } = weather;
    const runner = connect(access).chat.completions.runTools({
      model: access.model,
      messages: [{ role: "user", content: prompt }],
      tools: [zodFunction({ name, description, parameters, function: run })],
    });
    return (await runner.finalContent()) ?? "";
  },

  structured: async (access, prompt) => {
    const { choices } = await connect(access).chat.completions.parse({
      model: access.model,
      messages: [{ role: "user", content: prompt }],
      response_format: zodResponseFormat(report, "report"),
    });
    return choices[0]?.message.parsed;
  },

  abort: async (access, prompt, onText, signal) => {
    const stream = connect(access).chat.completions.stream(
      { model: access.model, messages: [{ role: "user", content: prompt }] },
      { signal },
    );
    stream.on("content", onText);
    await stream.finalContent();
  },
};
