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
}

export interface SideRequestSigns {
  readonly system: string;
  /** The last words of the user, without their time of writing. */
  readonly words: string;
  /** OpenClaw's session key, from a header or the Runtime line. */
  readonly session: string | null;
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
export function sideRequest({ system, words, session, kind, hasTools }: SideRequestSigns): SideRequest | null {
  if (!hasTools) {
    const known = PROMPTS.find(([beginning]) => system.startsWith(beginning));
    if (known) return { kind: known[1], needsTools: false };
    if (kind === "compaction") return { kind, needsTools: false };
    if (kind === "simple-completion") return { kind: "other", needsTools: false };
  }
  const run = INTERNAL.exec(session ?? "")?.[1];
  if (run === undefined) return null;
  if (run.startsWith("skill-workshop-review")) return { kind: "skill-review", needsTools: true };
  if (words.startsWith("Pre-compaction memory flush")) return { kind: "memory-flush", needsTools: true };
  return { kind: "other", needsTools: hasTools };
}
