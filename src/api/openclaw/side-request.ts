/**
 * OpenClaw's side requests: for a title, for a summary, for what should be remembered. A side request may name a
 * conversation, and must still never reach the process of that conversation.
 *
 * A heartbeat and the report of a finished subagent are not side requests: they are turns of the conversation.
 */

export interface SideRequest {
  /** `other` is a side request of no known kind. */
  readonly kind: "title" | "compaction" | "memory-flush" | "skill-review" | "other";
  /** The request is made for what its tools do, so it must get results for the calls of its tools. */
  readonly needsTools: boolean;
  /** The request's own session key; null when it has none. */
  readonly session: string | null;
}

export interface SideRequestTraits {
  readonly system: string;
  /** The text of the last user message, without its timestamp. */
  readonly lastText: string;
  /** OpenClaw's session keys. The one that our plugin sends is the key of the conversation that the request is about. */
  readonly sessions: readonly (string | null | undefined)[];
  /** The `x-openclaw-kind` header, which our plugin in OpenClaw sends. */
  readonly kind: string | null;
  readonly hasTools: boolean;
}

/** The sessions in which OpenClaw works without showing anything to a person. */
const INTERNAL = /^agent:[^:]*:internal-session-effects:(?:incognito-|legacy-)?(.*)$/;

/** The beginnings of the system prompts of side requests without tools. */
const PROMPTS: readonly (readonly [beginning: string, kind: SideRequest["kind"]])[] = [
  ["Generate a concise session title", "title"],
  ["Generate a very short topic label", "title"],
  ["You are a context summarization assistant", "compaction"],
  ["You are OpenClaw's exec safety reviewer", "other"],
  ["You are OpenClaw's dashboard widget safety reviewer", "other"],
];

/** Which side request this is; null for a request that is part of a conversation. */
export function findSideRequest({ system, lastText, sessions, kind, hasTools }: SideRequestTraits): SideRequest | null {
  if (!hasTools) {
    const known = PROMPTS.find(([beginning]) => system.startsWith(beginning));
    if (known) return { kind: known[1], needsTools: false, session: null };
    if (kind === "compaction") return { kind, needsTools: false, session: null };
    if (kind === "simple-completion") return { kind: "other", needsTools: false, session: null };
  }
  const session = sessions.find((key) => INTERNAL.test(key ?? ""));
  if (!session) return null;
  if (INTERNAL.exec(session)?.[1]?.startsWith("skill-workshop-review")) {
    return { kind: "skill-review", needsTools: true, session };
  }
  if (lastText.startsWith("Pre-compaction memory flush")) return { kind: "memory-flush", needsTools: true, session };
  return { kind: "other", needsTools: hasTools, session };
}
