/**
 * What a message of the history contains: its text, its tool calls, and for a result the name of its tool. Clients send
 * these fields in many shapes, so a field in an unknown shape is ignored.
 */
import { plainId } from "../../core/tools.ts";
import { type ChatMessage, messageText } from "./request.ts";

/** Longer arguments are cut: a file that a tool has written would fill the history. In characters. */
const MAX_ARGUMENTS = 4_000;

export interface PastCall {
  /** Null when the client sends none. */
  readonly id: string | null;
  readonly name: string;
  /** JSON, or whatever the client sends; empty when there are none. */
  readonly arguments: string;
}

/** The text of a message, with a refusal and with the transcript of a spoken answer. */
export function textOf(message: ChatMessage): string {
  const { content, refusal, audio } = message;
  const refusalParts = Array.isArray(content) ? content.map((part) => part.refusal) : [];
  const transcript = isRecord(audio) ? audio.transcript : undefined;
  return [messageText(message), ...refusalParts, refusal, transcript].filter(isText).join("\n");
}

/** The tool calls in an assistant message, in their order. Long arguments are cut. */
export const pastCalls = (message: ChatMessage): readonly Pick<PastCall, "name" | "arguments">[] =>
  callsIn(message).map(({ name, arguments: given }) => {
    const excess = given.length - MAX_ARGUMENTS;
    return { name, arguments: excess > 0 ? `${given.slice(0, MAX_ARGUMENTS)} (${excess} more characters)` : given };
  });

/**
 * The names of the tools whose results are among the messages, by the index of the result.
 *
 * The name comes from the call with the result's id. Some clients use an id again in a later answer: then the last such
 * call before the result counts. Without such a call it is the name in the result itself; and for a client that sends
 * neither id nor name, results belong to the calls in their order.
 */
export function resultNames(messages: readonly ChatMessage[]): ReadonlyMap<number, string> {
  const names = new Map<number, string>();
  const byId = new Map<string, string>();
  let calls: readonly PastCall[] = [];
  let next = 0;
  messages.forEach((message, index) => {
    if (message.role === "assistant") {
      calls = callsIn(message);
      next = 0;
      for (const { id, name } of calls) if (id !== null) byId.set(plainId(id), name);
    } else if (message.role === "tool" || message.role === "function") {
      const id = plainId(message.tool_call_id ?? "");
      const ownName = [message.name, message.tool_name].find(isText);
      const name = (id === "" ? undefined : byId.get(id)) ?? ownName ?? (id === "" ? calls[next]?.name : undefined);
      next += 1;
      if (name !== undefined) names.set(index, name);
    }
  });
  return names;
}

/** The calls in `tool_calls`, of functions and of custom tools, and in the `function_call` of the API before them. */
export function callsIn({ tool_calls: calls, function_call: legacy }: ChatMessage): readonly PastCall[] {
  return [
    ...(calls ?? []).flatMap((call) => (isRecord(call) ? readCall(call.id, call.function ?? call.custom) : [])),
    ...readCall(null, legacy),
  ];
}

function readCall(id: unknown, body: unknown): readonly PastCall[] {
  if (!isRecord(body) || !isText(body.name)) return [];
  const given = body.arguments ?? body.input ?? "";
  return [
    {
      id: typeof id === "string" || typeof id === "number" ? `${id}` : null,
      name: body.name,
      // Clients made for Ollama send an object.
      arguments: typeof given === "string" ? given : JSON.stringify(given),
    },
  ];
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null;
const isText = (value: unknown): value is string => typeof value === "string" && value.trim() !== "";
