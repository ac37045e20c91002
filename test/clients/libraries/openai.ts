/** `openai`, OpenAI's own library, over chat completions and over responses: requests by hand, and its helpers. */
import OpenAI from "openai";
import { zodFunction, zodResponseFormat, zodResponsesFunction, zodTextFormat } from "openai/helpers/zod";
import { type Access, type Client, report, statusOf, weather } from "../client.ts";

/** The status in an exception of OpenAI's library. */
const statusIn = (thrown: unknown) => (thrown instanceof OpenAI.APIError ? thrown.status : undefined);

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

  error: (access, prompt) => statusOf(openai.text(access, prompt), statusIn),
};

export const openaiResponses: Client = {
  text: async (access, prompt) =>
    (await connect(access).responses.create({ model: access.model, input: prompt })).output_text,

  stream: async (access, prompt, onText) => {
    const stream = connect(access).responses.stream({ model: access.model, input: prompt });
    stream.on("response.output_text.delta", ({ delta }) => onText(delta));
    await stream.finalResponse();
  },

  turns: async (access, [first, second]) => {
    const { responses } = connect(access);
    const { id } = await responses.create({ model: access.model, input: first });
    return (await responses.create({ model: access.model, input: second, previous_response_id: id })).output_text;
  },

  tools: async (access, prompt) => {
    const { name, description, parameters, run } = weather;
    const { responses } = connect(access);
    const asked = { model: access.model, tools: [zodResponsesFunction({ name, description, parameters })] };
    const calls = await responses.parse({ ...asked, input: prompt });
    const outputs = calls.output.flatMap((item) =>
      item.type === "function_call"
        ? [{ type: "function_call_output" as const, call_id: item.call_id, output: run(item.parsed_arguments) }]
        : [],
    );
    return (await responses.create({ ...asked, previous_response_id: calls.id, input: outputs })).output_text;
  },

  structured: async (access, prompt) => {
    const text = { format: zodTextFormat(report, "report") };
    return (await connect(access).responses.parse({ model: access.model, input: prompt, text })).output_parsed;
  },

  abort: async (access, prompt, onText, signal) => {
    const stream = connect(access).responses.stream({ model: access.model, input: prompt }, { signal });
    stream.on("response.output_text.delta", ({ delta }) => onText(delta));
    await stream.finalResponse();
  },

  error: (access, prompt) => statusOf(openaiResponses.text(access, prompt), statusIn),
};
