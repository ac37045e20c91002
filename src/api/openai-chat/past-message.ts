/**
 * What a past message says, as text, for a Claude that was not there: its words, the calls it made, and which
 * tool a result is from. Clients send these fields in many shapes, so whatever is not understood is left out.
 */
import { type ChatMessage, messageText } from "./request.ts";
import { plainId } from "./tools.ts";

/** The arguments of one call are shown up to this many characters: a file that was written would fill the history. */
const MAX_ARGUMENTS = 4_000;

interface PastCall {
  /** Null when the client gives it none. */
  readonly id: string | null;
  readonly name: string;
  /** As JSON, or as the client has them; empty when there are none. */
  readonly arguments: string;
}

/** The words of a message: its text, a refusal, and the transcript of a spoken answer. */
export function saidText(message: ChatMessage): string {
  const { content, refusal, audio } = message;
  const inParts = Array.isArray(content) ? content.map((part) => part.refusal) : [];
  const transcript = isRecord(audio) ? audio.transcript : undefined;
  return [messageText(message), ...inParts, refusal, transcript].filter(isText).join("\n");
}

/** The calls in an assistant message, in their order; long arguments are cut. */
export const pastCalls = (message: ChatMessage): readonly Pick<PastCall, "name" | "arguments">[] =>
  callsIn(message).map(({ name, arguments: given }) => {
    const left = given.length - MAX_ARGUMENTS;
    return { name, arguments: left > 0 ? `${given.slice(0, MAX_ARGUMENTS)} (${left} more characters)` : given };
  });

/**
 * The names of the tools whose results a request holds, by the places of the results in it. The call that the
 * result names counts, since some clients use an id once more in a later answer the last such call before the
 * result; else the name on the result; else, for a client that sends neither, the calls in their order.
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
      const own = [message.name, message.tool_name].find(isText);
      const name = (id === "" ? undefined : byId.get(id)) ?? own ?? (id === "" ? calls[next]?.name : undefined);
      next += 1;
      if (name !== undefined) names.set(index, name);
    }
  });
  return names;
}

/** `tool_calls`, of functions and of custom tools, and the `function_call` of the API before them. */
function callsIn({ tool_calls: calls, function_call: legacy }: ChatMessage): readonly PastCall[] {
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
      // Ollama's clients send them as an object.
      arguments: typeof given === "string" ? given : JSON.stringify(given),
    },
  ];
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null;
const isText = (value: unknown): value is string => typeof value === "string" && value.trim() !== "";
