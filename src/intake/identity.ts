/**
 * Which conversation a request belongs to, if to any. A key that is not OpenClaw's own carries its
 * source, so that no two ways of naming a conversation can ever name the same one by accident.
 */

import { headerText, openClawHeader } from "../api/openclaw/headers.ts";
import { SESSION_KEY_HEADER } from "../api/openclaw/request.ts";
import { RequestError } from "../core/errors.ts";
import type { ParsedRequest } from "./parsed-request.ts";

const AGENT = "x-openclaw-agent-id";
const CHAT = "x-openclaw-chat-id";
const AFFINITY = ["x-session-affinity", "session_id"] as const;
/** The conversation of a client that names none, where such clients share one. */
const DEFAULT = "default";
/** `<id>:<N>` */
const GENERATION = /^(.+):(\d{1,9})$/;
/** A session key that begins like one of our own keys gets a mark. */
const OURS = /^(?:default$|(?:key|chat|affinity|header|agent-id|user|one-shot|model):)/;

export interface Identity {
  readonly key: string;
  /** What named it. */
  readonly source:
    | "session-key"
    | "chat"
    | "runtime"
    | "affinity"
    | "header"
    | "agent"
    | "user"
    | "default"
    | "side"
    | "one-shot";
  readonly agent: string | null;
  readonly chat: string | null;
  /** Also when something else named the conversation: by this alone it may be asked for next time. */
  readonly affinity: Affinity | null;
  /** The key of the conversation of which this is another model's branch. */
  readonly branchOf?: string;
}

export interface Affinity {
  /** OpenClaw's session id. */
  readonly id: string;
  /** Grows when OpenClaw compacts or resets the session; 0 when it is not said. */
  readonly generation: number;
}

export interface IdentityOptions {
  /** One more header that names a conversation, for other chat front ends. */
  readonly identityHeader?: string | undefined;
  /** What a request that names none is: an answer of its own, or a part of the one conversation of all such. */
  readonly identityFallback: "one-shot" | "default";
  /** The key of the conversation in which this affinity id was last seen. */
  readonly aliasOf?: (affinityId: string) => string | undefined;
}

/** What of a request can name its conversation. */
interface NamedRequest extends Pick<ParsedRequest, "headers" | "openclaw"> {
  readonly body: Pick<ParsedRequest["body"], "user" | "prompt_cache_key">;
}

/**
 * The conversation of a request.
 * @returns null when it belongs to none
 * @throws ApiError (400) for a name that is too long or not printable
 */
export function identify(
  { body, headers, openclaw }: NamedRequest,
  { identityHeader, identityFallback, aliasOf }: IdentityOptions,
): Identity | null {
  // Such a request may bear a conversation's names, and is none of its turns. One that is about what its tools
  // do has a session of its own, where the results of its calls find it again.
  if (openclaw?.side && !openclaw.side.needsTools) return null;

  const header = (name: string) => check(headerText(headers, name), name);
  const named = (name: `x-openclaw-${string}`) => check(openClawHeader(headers, name), name);
  const own = named(SESSION_KEY_HEADER);
  const namedAgent = named(AGENT);
  const chat = named(CHAT);
  const session = check(openclaw?.runtime?.session, "the session in the Runtime line");
  const affinity = openclaw?.side ? null : readAffinity(body, header);
  const other = identityHeader ? header(identityHeader) : null;
  const user = check(body.user, "user");

  const found = (source: Identity["source"], key: string): Identity => ({
    key,
    source,
    agent: namedAgent ?? openclaw?.runtime?.agent ?? null,
    chat,
    affinity,
  });
  const side = check(openclaw?.side?.session, "the session in the Runtime line");
  if (side) return found("side", marked(side));
  if (own) return found("session-key", marked(own));
  // Encoded so that the first `::` is the one that parts them.
  if (chat) return found("chat", `chat:${encodeURIComponent(namedAgent ?? user ?? DEFAULT)}::${chat}`);
  if (session) return found("runtime", marked(session));
  if (affinity) return found("affinity", aliasOf?.(affinity.id) ?? `affinity:${affinity.id}`);
  // No header's name has a colon.
  if (other) return found("header", `header:${identityHeader?.toLowerCase()}:${other}`);
  if (namedAgent) return found("agent", `agent-id:${namedAgent}`);
  if (user) return found("user", `user:${user}`);
  return identityFallback === "default" ? found("default", DEFAULT) : null;
}

/** Whether a conversation is forgotten when its turn is over: nobody will come back to it. */
export const isEphemeral = (source: string): boolean => source === "side" || source === "one-shot";

/** Of a request that belongs to none and is answered by a claude in a terminal all the same. */
export const oneShotIdentity = (): Identity => ({
  key: `one-shot:${crypto.randomUUID()}`,
  source: "one-shot",
  agent: null,
  chat: null,
  affinity: null,
});

/** OpenClaw's key is the same whether a header or the Runtime line brings it. */
const marked = (session: string): string => (OURS.test(session) ? `key:${session}` : session);

function readAffinity(
  { prompt_cache_key: cacheKey }: NamedRequest["body"],
  header: (name: string) => string | null,
): Affinity | null {
  // Other clients share one cache key among all their users: only one in OpenClaw's form names a session.
  const named = AFFINITY.map(header).find((name) => name !== null);
  const name = named ?? (cacheKey && GENERATION.test(cacheKey) ? check(cacheKey, "prompt_cache_key") : null);
  if (!name) return null;
  const generation = GENERATION.exec(name);
  return generation ? { id: generation[1] ?? name, generation: Number(generation[2]) } : { id: name, generation: 0 };
}

function check(value: string | null | undefined, field: string): string | null {
  if (value === null || value === undefined || value === "") return null;
  // The two joiners are not seen, but Persian, Hindi and many emoji are not written without them.
  if (/^(?:[^\p{C}\p{Zl}\p{Zp}]|[\u200c\u200d]){1,256}$/u.test(value)) return value;
  throw new RequestError("invalid_request", `${field} must be 1 to 256 printable characters.`, { param: field });
}
