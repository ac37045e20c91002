/**
 * Which conversation a request belongs to, if any. A session key that is not OpenClaw's own begins with its source, so
 * that two different sources can never name the same conversation by accident.
 */

import { headerText, openClawHeader } from "../api/openclaw/headers.ts";
import { SESSION_KEY_HEADER } from "../api/openclaw/request.ts";
import { RequestError } from "../core/errors.ts";
import type { SessionRow } from "../store/schema.ts";
import type { SessionStore } from "../store/sessions.ts";
import type { ParsedRequest } from "./parsed-request.ts";

const AGENT_HEADER = "x-openclaw-agent-id";
const CHAT_HEADER = "x-openclaw-chat-id";
const AFFINITY_HEADERS = ["x-session-affinity", "session_id"] as const;
/** The conversation of all requests that name none, if they share one. */
const DEFAULT = "default";
/** `<id>:<generation>` */
const GENERATION = /^(.+):(\d{1,9})$/;
/** The beginnings of the keys that are made here. An OpenClaw key that begins like one of them gets a prefix. */
const OWN_KEY =
  /^(?:default$|(?:of|key|chat|affinity|header|conversation|agent-id|user|response|one-shot|unnamed|model):)/;

const OF_OWNER = /^of:([^:]+):/;

export interface Identity {
  readonly key: string;
  /** What named the conversation. */
  readonly source:
    | "session-key"
    | "chat"
    | "runtime"
    | "affinity"
    | "header"
    | "conversation"
    | "agent"
    | "user"
    | "default"
    | "response"
    | "side"
    | "one-shot"
    | "unnamed";
  readonly agent: string | null;
  readonly chat: string | null;
  /** OpenClaw's session id. Recorded even when something else names the conversation: a later request may have only this. */
  readonly affinity: Affinity | null;
  /** For the branch of another model: the key of the conversation that it branches from. */
  readonly branchOf?: string;
  /** The turn after which the request continues the conversation, when it names one. */
  readonly previousTurn?: string;
}

export interface Affinity {
  /** OpenClaw's session id. */
  readonly id: string;
  /** Grows when OpenClaw compacts or resets the session; 0 when it is unknown. */
  readonly generation: number;
}

export interface IdentityOptions {
  /** The header by which another chat program names its conversations. */
  readonly identityHeader?: string | undefined;
  /** The `conversation` of the Responses API. */
  readonly conversation?: string | null | undefined;
  /** What a request that names no conversation belongs to: nothing, or the conversation that all such requests share. */
  readonly identityFallback: "one-shot" | "default";
  /** The name of the chat key, whose conversations are its own; null for the server's own key. */
  readonly owner?: string | null;
  /** The key of the conversation that last had this affinity id. */
  readonly aliasOf?: (affinityId: string) => string | undefined;
}

/** The parts of a request that can name its conversation. */
interface NamedRequest extends Pick<ParsedRequest, "headers" | "openclaw"> {
  readonly body: Pick<ParsedRequest["body"], "user" | "prompt_cache_key">;
}

/**
 * Finds the conversation of a request: by its session key, else by agent and chat, the Runtime line, the affinity, the
 * configured header, the `conversation`, the agent alone, or the user.
 * @returns null for a request that names no conversation, or is none of its turns
 * @throws RequestError (`invalid_request`) for a name that is too long or has characters that are not printable
 */
export function identify(
  { body, headers, openclaw }: NamedRequest,
  { identityHeader, conversation, identityFallback, owner = null, aliasOf }: IdentityOptions,
): Identity | null {
  // A side request may have the names of a conversation, but is not a turn of it. One with tools gets a conversation of
  // its own, so that the results of its calls find their turn.
  if (openclaw?.side && !openclaw.side.needsTools) return null;

  const header = (name: string) => checkName(headerText(headers, name), name);
  const openClaw = (name: `x-openclaw-${string}`) => checkName(openClawHeader(headers, name), name);
  // All names are checked, also those that do not decide.
  const sessionKey = openClaw(SESSION_KEY_HEADER);
  const agent = openClaw(AGENT_HEADER);
  const chat = openClaw(CHAT_HEADER);
  const runtimeSession = checkName(openclaw?.runtime?.session, "the session in the Runtime line");
  const named = openclaw?.side ? null : readAffinity(body, header);
  const affinity = named && { ...named, id: ownAffinity(owner, named.id) };
  const customName = identityHeader ? header(identityHeader) : null;
  const ownConversation = checkName(conversation, "conversation");
  const user = checkName(body.user, "user");
  const sideSession = checkName(openclaw?.side?.session, "the session in the Runtime line");

  const identity = (source: Identity["source"], key: string): Identity => ({
    key: ownKey(owner, key),
    source,
    agent: agent ?? openclaw?.runtime?.agent ?? null,
    chat,
    affinity,
  });
  if (sideSession) return identity("side", asKey(sideSession));
  if (sessionKey) return identity("session-key", asKey(sessionKey));
  // The agent is encoded, so that the first `::` is the separator.
  if (chat) return identity("chat", `chat:${encodeURIComponent(agent ?? user ?? DEFAULT)}::${chat}`);
  if (runtimeSession) return identity("runtime", asKey(runtimeSession));
  const alias = affinity && aliasOf?.(affinity.id);
  if (alias) return { ...identity("affinity", ""), key: alias };
  if (named) return identity("affinity", `affinity:${named.id}`);
  // The name of a header contains no colon, so the key is unambiguous.
  if (customName) return identity("header", `header:${identityHeader?.toLowerCase()}:${customName}`);
  if (ownConversation) return identity("conversation", `conversation:${ownConversation}`);
  if (agent) return identity("agent", `agent-id:${agent}`);
  if (user) return identity("user", `user:${user}`);
  return identityFallback === "default" ? identity("default", DEFAULT) : null;
}

/** @param conversation the `conversation` of the Responses API */
export type Identify = (
  request: NamedRequest,
  owner: IdentityOptions["owner"],
  conversation?: string | null,
) => Identity | null | Promise<Identity | null>;

/** `identify` with the server's own options. */
export const createIdentify =
  (deps: {
    readonly config: Pick<IdentityOptions, "identityHeader" | "identityFallback">;
    readonly sessions: Pick<SessionStore, "keyWithAffinity">;
    /** Finds what `aliasOf` does not, in a fleet. */
    readonly findAlias?: ((affinityId: string) => Promise<string | undefined>) | undefined;
  }): Identify =>
  (request, owner = null, conversation) => {
    const { identityHeader, identityFallback } = deps.config;
    const aliasOf = deps.sessions.keyWithAffinity;
    const identity = identify(request, { identityHeader, identityFallback, owner, conversation, aliasOf });
    const { findAlias } = deps;
    if (!findAlias || identity?.source !== "affinity" || !identity.affinity) return identity;
    return findAlias(identity.affinity.id).then((alias) => (alias ? { ...identity, key: alias } : identity));
  };

/** The identity of a recorded conversation. */
export const recordedIdentity = ({ key, source, agent, chat, branchOf }: SessionRow): Identity => ({
  key,
  source: source as Identity["source"],
  agent,
  chat,
  affinity: null,
  ...(branchOf === null ? {} : { branchOf }),
});

/** The key of the conversation without its branches, which share its node in a fleet. */
export const rootOf = ({ key, branchOf }: Pick<Identity, "key" | "branchOf">): string => branchOf ?? key;

/** Whether a conversation is deleted when it ends: no later request can name it. */
export const isEphemeral = (source: string): boolean => source === "side" || isUnnamed(source);

/** Whether Claude has none of its own tools in such a conversation; over stream-json also nothing of the user's setup. */
export const isIsolated = (source: string): boolean => source === "response" || isUnnamed(source);

/** Whether its requests name nothing by which it could be found when its process has ended. */
export const isUnnamed = (source: string): boolean => source === "one-shot" || source === "unnamed";

/** The identity of a chat that names no conversation. Its next request is recognised by what it contains. */
export const unnamedIdentity = (owner: string | null): Identity => ({
  key: ownKey(owner, `unnamed:${crypto.randomUUID()}`),
  source: "unnamed",
  agent: null,
  chat: null,
  affinity: null,
});

/** The identity of a conversation whose requests name only the response that they continue. */
export const responseIdentity = (owner: string | null): Identity => ({
  key: ownKey(owner, `response:${crypto.randomUUID()}`),
  source: "response",
  agent: null,
  chat: null,
  affinity: null,
});

/** The identity of a one-shot that an interactive process answers: a conversation of one turn. */
export const oneShotIdentity = (owner: string | null): Identity => ({
  key: ownKey(owner, `one-shot:${crypto.randomUUID()}`),
  source: "one-shot",
  agent: null,
  chat: null,
  affinity: null,
});

/**
 * Gives a session key to the owner. No client can name the conversation of another key: what begins like an owner's key
 * gets a prefix in `asKey`.
 */
const ownKey = (owner: string | null, key: string): string => (owner === null ? key : `of:${owner}:${key}`);

/** An affinity id names a conversation, too, so it belongs to its owner in the same way. */
const ownAffinity = (owner: string | null, id: string): string =>
  ownKey(owner, owner === null && id.startsWith("of:") ? `key:${id}` : id);

/** The owner of a conversation: the name of a chat key, or null for the server's own. */
export const ownerOf = ({
  key,
  branchOf,
}: {
  readonly key: string;
  readonly branchOf?: string | null;
}): string | null => OF_OWNER.exec(branchOf ?? key)?.[1] ?? null;

/** The session key without its owner. */
export const nameOf = ({ key }: Pick<Identity, "key">): string => key.replace(OF_OWNER, "");

/** The key of an OpenClaw session. It is the same whether a header or the Runtime line contains it. */
const asKey = (session: string): string => (OWN_KEY.test(session) ? `key:${session}` : session);

function readAffinity(
  { prompt_cache_key: cacheKey }: NamedRequest["body"],
  header: (name: string) => string | null,
): Affinity | null {
  // Other clients send the same cache key for all their users, so only one in OpenClaw's form names a session.
  const fromHeader = AFFINITY_HEADERS.map(header).find((name) => name !== null);
  const name = fromHeader ?? (cacheKey && GENERATION.test(cacheKey) ? checkName(cacheKey, "prompt_cache_key") : null);
  if (!name) return null;
  const generation = GENERATION.exec(name);
  return generation ? { id: generation[1] ?? name, generation: Number(generation[2]) } : { id: name, generation: 0 };
}

/** @returns null for an absent or empty name */
function checkName(value: string | null | undefined, field: string): string | null {
  if (value === null || value === undefined || value === "") return null;
  // Two format characters are allowed, the joiners: Persian, Hindi and many emoji need them.
  if (/^(?:[^\p{C}\p{Zl}\p{Zp}]|[\u200c\u200d]){1,256}$/u.test(value)) return value;
  throw new RequestError("invalid_request", `${field} must be 1 to 256 printable characters.`, { param: field });
}
