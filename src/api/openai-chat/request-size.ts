/**
 * How large a request may be besides the bytes of its body. What is done with a request takes time for each message,
 * each part and each character, and no other conversation is served meanwhile.
 */
import { RequestError } from "../../core/errors.ts";

const MAX_MESSAGES = 5_000;
/** Parts of contents and tool calls, over all messages. */
const MAX_PARTS = 20_000;
/** OpenAI takes 128. */
const MAX_TOOLS = 2_000;
/** In characters. A million tokens are about so many, and no model of Claude's takes more. */
const MAX_TEXT = 4_000_000;
/** In characters. OpenClaw sends 50 000. It is kept on disk for each conversation, and again for each process. */
const MAX_SYSTEM = 500_000;

/** Their bytes are decoded later, within limits of their own. */
const BINARY = new Set(["url", "image_url", "file_data", "data"]);

/**
 * Looks at a chat request before it is validated, since to validate it takes as long as it is large.
 * @param body any JSON value; nothing is said of one that is no chat request
 * @throws ApiError (400) that names the field and its limit
 */
export function checkSize(body: unknown): void {
  if (!isRecord(body)) return;
  const messages = listIn(body.messages);
  limit(messages.length, MAX_MESSAGES, "messages", "messages", LESS_HISTORY);
  const parts = messages.reduce<number>(
    (sum, message) =>
      isRecord(message) ? sum + listIn(message.content).length + listIn(message.tool_calls).length : sum,
    0,
  );
  limit(parts, MAX_PARTS, "parts and tool calls", "messages", LESS_HISTORY);
  for (const field of ["tools", "functions", "modalities"]) {
    limit(listIn(body[field]).length, MAX_TOOLS, "entries", field, "Send fewer.");
  }
  const choice = isRecord(body.tool_choice) ? body.tool_choice.allowed_tools : null;
  limit(isRecord(choice) ? listIn(choice.tools).length : 0, MAX_TOOLS, "entries", "tool_choice", "Send fewer.");
  const system = messages.filter((one) => isRecord(one) && (one.role === "system" || one.role === "developer"));
  limit(textIn(system), MAX_SYSTEM, "characters in its system messages", "messages", "Shorten the system prompt.");
  limit(textIn(messages), MAX_TEXT, "characters", "messages", LESS_HISTORY);
  limit(textIn([body.tools, body.functions]), MAX_TEXT, "characters", "tools", "Send fewer or smaller tools.");
  limit(textIn(body.response_format), MAX_SYSTEM, "characters", "response_format", "Send a smaller schema.");
}

const LESS_HISTORY = "Send less history, or begin a new chat.";

function limit(count: number, most: number, what: string, param: string, advice: string): void {
  if (count <= most) return;
  throw new RequestError("invalid_request", `${param} has more than ${most} ${what}. ${advice}`, { param });
}

/** All characters in it, field names included. @param value nested no deeper than the gate lets through */
function textIn(value: unknown): number {
  if (typeof value === "string") return value.length;
  if (Array.isArray(value)) return value.reduce<number>((sum, one) => sum + textIn(one), 0);
  if (!isRecord(value)) return 0;
  let sum = 0;
  for (const key in value) {
    const inner = value[key];
    sum += key.length + (typeof inner === "string" && BINARY.has(key) ? 0 : textIn(inner));
  }
  return sum;
}

const listIn = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);
const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
