/**
 * Limits on a request's size, besides the bytes of its body. Reading a request takes time for each message, each part
 * and each character, and the server can do nothing else meanwhile.
 */
import { RequestError } from "../../core/errors.ts";

const MAX_MESSAGES = 5_000;
/** Content parts and tool calls of all messages together. */
const MAX_PARTS = 20_000;
/** OpenAI allows 128. */
const MAX_TOOLS = 2_000;
/** In characters. These are about a million tokens, the largest context of any Claude model. */
const MAX_TEXT = 4_000_000;
/** In characters. OpenClaw sends 50 000. Each conversation and each process keeps a copy on disk. */
const MAX_SYSTEM = 500_000;

/** Fields with encoded bytes. They have limits of their own, which are checked when they are decoded. */
const BINARY = new Set(["url", "image_url", "file_data", "data"]);

/**
 * Checks the size of a chat request before it is validated, because validation takes time in proportion to the size.
 * @param body any JSON value; what is not a chat request passes, and fails validation
 * @throws RequestError (`invalid_request`) that names the field and its limit
 */
export function checkSize(body: unknown): void {
  if (!isRecord(body)) return;
  const messages = asList(body.messages);
  limit(messages.length, MAX_MESSAGES, "messages", "messages", LESS_HISTORY);
  const parts = messages.reduce<number>(
    (sum, message) =>
      isRecord(message) ? sum + asList(message.content).length + asList(message.tool_calls).length : sum,
    0,
  );
  limit(parts, MAX_PARTS, "parts and tool calls", "messages", LESS_HISTORY);
  for (const field of ["tools", "functions", "modalities"]) {
    limit(asList(body[field]).length, MAX_TOOLS, "entries", field, "Send fewer.");
  }
  const choice = isRecord(body.tool_choice) ? body.tool_choice.allowed_tools : null;
  limit(isRecord(choice) ? asList(choice.tools).length : 0, MAX_TOOLS, "entries", "tool_choice", "Send fewer.");
  const system = messages.filter((one) => isRecord(one) && (one.role === "system" || one.role === "developer"));
  limit(textIn(system), MAX_SYSTEM, "characters in its system messages", "messages", "Shorten the system prompt.");
  limit(textIn(messages), MAX_TEXT, "characters", "messages", LESS_HISTORY);
  limit(textIn([body.tools, body.functions]), MAX_TEXT, "characters", "tools", "Send fewer or smaller tools.");
  limit(textIn(body.response_format), MAX_SYSTEM, "characters", "response_format", "Send a smaller schema.");
}

const LESS_HISTORY = "Send less history, or start a new chat.";

function limit(count: number, most: number, what: string, param: string, advice: string): void {
  if (count <= most) return;
  throw new RequestError("invalid_request", `${param} has more than ${most} ${what}. ${advice}`, { param });
}

/** The number of characters in a JSON value, field names included. The JSON gate has bounded its depth. */
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

const asList = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);
const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
