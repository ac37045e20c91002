/** What each client of the suite can be asked to do. A driver does it as the client's own documentation says. */
import { z } from "zod";

/** All that a client knows about the server. */
export interface Access {
  /** Ends in `/v1`. */
  readonly baseURL: string;
  readonly apiKey: string;
  readonly model: string;
  /** Ends what a client keeps running for the next cases. */
  readonly ending: AsyncDisposableStack;
}

/** Called with each piece of text as it arrives. */
export type OnText = (text: string) => void;

/** What a client does, in the order in which a reader of its documentation meets it. */
export interface Client {
  /** One question. @returns the answer */
  text: (access: Access, prompt: string) => Promise<string>;
  /** One question whose answer is streamed. */
  stream: (access: Access, prompt: string, onText: OnText) => Promise<void>;
  /** Two questions in one chat, remembered the way this client remembers a chat. @returns the second answer */
  turns: (access: Access, prompts: readonly [string, string]) => Promise<string>;
  /** A question that is answered with the help of a tool of the client, which it runs by itself. @returns the answer */
  tools: (access: Access, prompt: string) => Promise<string>;
  /** A question whose answer has the form of `report`. @returns the answer as an object */
  structured: (access: Access, prompt: string) => Promise<unknown>;
  /** A streamed answer that the client stops when `signal` is aborted. It may throw then. */
  abort: (access: Access, prompt: string, onText: OnText, signal: AbortSignal) => Promise<void>;
  /** A question that fails. @returns the HTTP status, as the client's own exception has it */
  error: (access: Access, prompt: string) => Promise<number | undefined>;
}

export type Case = keyof Client;

/** The HTTP status of the exception that a question is answered with. @param read takes it from the client's own exception */
export const statusOf = (answer: Promise<unknown>, read: (thrown: unknown) => number | undefined) =>
  answer.then(() => undefined, read);

/** Why a client has no such case. */
export interface Without {
  readonly because: string;
}

/** A row of the table. */
export type Row = { readonly [C in Case]: Client[C] | Without };

export const without = (because: string): Without => ({ because });

/** The tool of the `tools` case. A program that brings tools of its own reads the weather from a file instead. */
export const weather = {
  name: "get_weather",
  description: "The weather in a city",
  parameters: z.object({ city: z.string().describe("The name of the city") }),
  run: ({ city }: { city: string }) => weatherIn(city),
};

/** The cities that the `tools` case asks about. */
export const CITIES = ["Oslo", "Lima"] as const;

export const weatherIn = (name: string): string => `21 degrees in ${name}`;

/** The form of a structured answer, with what schemas of real programs have: a list, a choice, an optional field. */
export const report = z.object({
  city: z.string(),
  degrees: z.number().min(-90).max(60),
  sky: z.enum(["clear", "cloudy"]),
  hours: z.array(z.object({ hour: z.number().int(), rain: z.boolean() })),
});

export const REPORT: z.infer<typeof report> = {
  city: "Oslo",
  degrees: 21,
  sky: "clear",
  hours: [{ hour: 9, rain: false }],
};
