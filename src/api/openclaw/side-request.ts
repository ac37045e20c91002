/**
 * What OpenClaw asks for itself: a title, a summary, a look at what should be remembered. Such a request
 * may name a conversation, and must all the same never reach its claude.
 *
 * A heartbeat and the end of a subagent's work are no side requests: they are said in the conversation.
 */

export interface SideRequest {
  /** `other` is one that we do not know by name. */
  readonly kind: "title" | "compaction" | "memory-flush" | "skill-review" | "other";
  /** It is asked for the sake of what its tools do. */
  readonly needsTools: boolean;
  /** The session that it has for itself, if it has one. */
  readonly session: string | null;
}

export interface SideRequestTraits {
  readonly system: string;
  /** The last words of the user, without their time of writing. */
  readonly words: string;
  /** OpenClaw's session keys. Our plugin's is that of the conversation for whose sake it is asked. */
  readonly sessions: readonly (string | null | undefined)[];
  /** `x-openclaw-kind`, which our plugin in OpenClaw sends. */
  readonly kind: string | null;
  readonly hasTools: boolean;
}

/** The sessions in which OpenClaw does what nobody shall see. */
const INTERNAL = /^agent:[^:]*:internal-session-effects:(?:incognito-|legacy-)?(.*)$/;

/** Requests without tools, by how their system prompt begins. */
const PROMPTS: readonly (readonly [beginning: string, kind: SideRequest["kind"]])[] = [
  ["Generate a concise session title", "title"],
  ["Generate a very short topic label", "title"],
  ["You are a context summarization assistant", "compaction"],
  ["You are OpenClaw's exec safety reviewer", "other"],
  ["You are OpenClaw's dashboard widget safety reviewer", "other"],
];

/** Which side request this is, null when it is part of a conversation. */
export function sideRequest({ system, words, sessions, kind, hasTools }: SideRequestTraits): SideRequest | null {
  if (!hasTools) {
    const known = PROMPTS.find(([beginning]) => system.startsWith(beginning));
    if (known) return { kind: known[1], needsTools: false, session: null };
    if (kind === "compaction") return { kind, needsTools: false, session: null };
    if (kind === "simple-completion") return { kind: "other", needsTools: false, session: null };
  }
  const session = sessions.find((one) => INTERNAL.test(one ?? ""));
  if (!session) return null;
  if (INTERNAL.exec(session)?.[1]?.startsWith("skill-workshop-review")) {
    return { kind: "skill-review", needsTools: true, session };
  }
  if (words.startsWith("Pre-compaction memory flush")) return { kind: "memory-flush", needsTools: true, session };
  return { kind: "other", needsTools: hasTools, session };
}
