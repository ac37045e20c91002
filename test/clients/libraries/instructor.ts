/** `@instructor-ai/instructor`, which adds structured answers to `openai`. */
import createInstructor from "@instructor-ai/instructor";
import OpenAI from "openai";
import { type Access, type Client, report } from "../client.ts";

/** @param mode how it asks for the form: by a tool that must be called, or by `response_format` */
export const instructor = (mode: "TOOLS" | "JSON" | "JSON_SCHEMA") =>
  ({
    structured: ({ baseURL, apiKey, model }: Access, prompt: string) =>
      createInstructor({ client: new OpenAI({ baseURL, apiKey }), mode }).chat.completions.create({
        model,
        messages: [{ role: "user", content: prompt }],
        response_model: { schema: report, name: "Report" },
      }),
  }) satisfies Partial<Client>;
