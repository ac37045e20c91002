/**
 * Which conversation a request belongs to. A key that is not OpenClaw's own carries its source, so that
 * no two ways of naming a conversation can ever name the same one by accident.
 */
import { ApiError } from "../openai/errors.ts";

const SESSION_KEY = "x-openclaw-session-key";
const AGENT = "x-openclaw-agent-id";
const CHAT = "x-openclaw-chat-id";
/** The conversation of a client that names none. */
const DEFAULT = "default";

export interface Identity {
  readonly key: string;
  /** What named it. */
  readonly source: "session-key" | "chat" | "agent" | "user" | "default";
  readonly agent: string | null;
  readonly chat: string | null;
}

/**
 * The conversation of a request.
 * @param header looks a header up by its lower-case name
 * @param user the body's `user` field
 * @throws ApiError (400) for a name that is too long or not printable
 */
export function identify(header: (name: string) => string | undefined, user: string | null | undefined): Identity {
  const own = check(header(SESSION_KEY), SESSION_KEY);
  const agent = check(header(AGENT), AGENT);
  const chat = check(header(CHAT), CHAT);
  const name = check(user, "user");
  if (own) {
    // A session key that looks like one of ours, or is marked like this, gets a mark.
    const key = own === DEFAULT || /^(key|chat|agent-id|user):/.test(own) ? `key:${own}` : own;
    return { key, source: "session-key", agent, chat };
  }
  // Encoded so that the first `::` is the one that parts them.
  const encoded = encodeURIComponent(agent ?? name ?? DEFAULT);
  if (chat) return { key: `chat:${encoded}::${chat}`, source: "chat", agent, chat };
  if (agent) return { key: `agent-id:${agent}`, source: "agent", agent, chat };
  if (name) return { key: `user:${name}`, source: "user", agent, chat };
  return { key: DEFAULT, source: "default", agent, chat };
}

function check(value: string | null | undefined, field: string): string | null {
  if (value === null || value === undefined || value === "") return null;
  if (/^[^\p{C}\p{Zl}\p{Zp}]{1,256}$/u.test(value)) return value;
  throw new ApiError("invalid_request", `${field} must be 1 to 256 printable characters.`, field);
}
