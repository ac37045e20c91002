/**
 * What claude asks before it does something that nobody has allowed beforehand: the questions that wait
 * for a person, and the record of all. No answer in time is a no.
 */
import { randomInt } from "node:crypto";
import { getLogger } from "@logtape/logtape";
import { spellOutToolUse, type ToolContent, toolContent } from "../claude/tool-use.ts";
import type { Config } from "../config/schema.ts";
import { hideSecrets } from "../core/secrets.ts";
import type { PermissionLog } from "../store/permissions.ts";
import type { Verdict } from "../wire/hooks.ts";

const log = getLogger(["synthesis", "permissions"]);

/** Without letters and digits that look alike. */
const LETTERS = "abcdefghjkmnpqrstuvwxyz";
const DIGITS = "23456789";
/** So much of a tool's input is written down. */
const MAX_INPUT = 4_000;

export interface PermissionPrompt {
  readonly session: string;
  readonly turn: string | null;
  readonly tool: string;
  readonly input: unknown;
  /** Who has sent the message that claude works on, if that is known. */
  readonly sender: string | null;
}

type PermissionWay = "chat" | "control" | "spoke" | "timeout" | "nobody" | "gone";

interface Decision {
  readonly behavior: Verdict["behavior"];
  readonly way: PermissionWay;
  /** Who answers, as far as it is known. */
  readonly by: string | null;
  /** With a yes only. */
  readonly rule?: string | undefined;
}

export interface PendingPrompt extends PermissionPrompt {
  /** Short, so that it can be typed. */
  readonly id: string;
  /** On one line. */
  readonly description: string;
  /** What else decides: the text that is to be written, the prompt of an agent. Absent when the line has it all. */
  readonly content?: ToolContent | undefined;
  readonly askedAt: number;
}

export interface PermissionBroker {
  /** Those that wait, oldest first. */
  readonly pending: readonly PendingPrompt[];
  /**
   * Asks; resolves with the verdict, a no when nobody answers in time.
   * @param onAsked told at once under which id it is asked
   * @param signal aborted when claude no longer wants to know
   */
  ask(question: PermissionPrompt, onAsked: (pending: PendingPrompt) => void, signal: AbortSignal): Promise<Verdict>;
  /** The use of a tool on one line, without secrets. */
  describe(tool: string, input: unknown): string;
  /** Notes a question that is not asked, since there is nobody to ask. */
  refuse(question: PermissionPrompt): Verdict;
  /** What else was allowed in a session since then, in claude's rule syntax. */
  grantedRules(session: string, since: number): readonly string[];
  /** False when nothing of this id waits. */
  answer(id: string, decision: Decision): boolean;
}

export interface PermissionBrokerDeps {
  readonly config: Config;
  readonly permissionLog: PermissionLog;
  /** May hold secrets, which are not shown. */
  readonly env: Record<string, string | undefined>;
}

export function createPermissionBroker({ config, permissionLog, env }: PermissionBrokerDeps): PermissionBroker {
  const hide = hideSecrets(env);
  const waiting = new Map<string, { pending: PendingPrompt; decide: (decision: Decision) => void }>();

  function newId(): string {
    const id = [LETTERS, DIGITS, LETTERS, DIGITS].map((from) => from[randomInt(from.length)]).join("");
    return waiting.has(id) ? newId() : id;
  }

  /** Writes down; nothing depends on it but the record. */
  function note(write: () => void): void {
    try {
      write();
    } catch (error) {
      log.error("permission not written down: {error}", { error });
    }
  }
  function noteAsked({ session, turn, tool, input, sender }: PermissionPrompt): string {
    // The short ids come again some day; those of the record do not.
    const id = crypto.randomUUID();
    const text = JSON.stringify(input ?? null).slice(0, MAX_INPUT);
    note(() => permissionLog.insertPrompt({ id, session, turn, tool, input: text, sender, askedAt: Date.now() }));
    return id;
  }
  function noteDecided(
    id: string,
    { session, tool }: PermissionPrompt,
    { behavior, way, by, rule }: Decision,
  ): Verdict["behavior"] {
    log.info("permission {verdict}, by way of {way}", { verdict: behavior, way, session, tool });
    note(() =>
      permissionLog.setVerdict(id, {
        verdict: behavior,
        way,
        rule: rule ?? null,
        decidedBy: by,
        decidedAt: Date.now(),
      }),
    );
    return behavior;
  }

  return {
    get pending() {
      return [...waiting.values()].map(({ pending }) => pending);
    },
    ask: (question, onAsked, signal) => {
      const id = newId();
      const row = noteAsked(question);
      const description = spellOutToolUse(question.tool, question.input, hide);
      const content = toolContent(question.tool, question.input, hide) ?? undefined;
      const pending: PendingPrompt = { ...question, id, description, content, askedAt: Date.now() };
      const { promise, resolve } = Promise.withResolvers<Verdict>();
      const decide = (decision: Decision) => {
        if (!waiting.delete(id)) return;
        clearTimeout(deadline);
        signal.removeEventListener("abort", gone);
        const behavior = noteDecided(row, question, decision);
        resolve({ behavior, message: REFUSALS[decision.way], rule: decision.rule ?? null });
      };
      const gone = () => decide({ behavior: "deny", way: "gone", by: null });
      const late = () => decide({ behavior: "deny", way: "timeout", by: null });
      const deadline = setTimeout(late, config.permissionTimeoutMs);
      waiting.set(id, { pending, decide });
      signal.addEventListener("abort", gone);
      if (signal.aborted) gone();
      else onAsked(pending);
      return promise;
    },
    describe: (tool, input) => spellOutToolUse(tool, input, hide),
    refuse: (question) => {
      const decision = { behavior: "deny", way: "nobody", by: null } as const;
      const behavior = noteDecided(noteAsked(question), question, decision);
      return { behavior, message: REFUSALS.nobody, rule: null };
    },
    grantedRules: permissionLog.rules,
    answer: (id, decision) => {
      const question = waiting.get(id);
      question?.decide(decision);
      return question !== undefined;
    },
  };
}

/** What claude is told. */
const REFUSALS: Record<PermissionWay, string> = {
  chat: "The user has refused this. Do without it, or ask what to do instead.",
  control: "The user has refused this. Do without it, or ask what to do instead.",
  spoke: "The user has said something else instead, so this is not permitted.",
  timeout: "The user did not answer in time, so this is not permitted. Do without it.",
  nobody: "The user cannot be asked in this chat, so this is not permitted. Do without it, or say what you would need.",
  gone: "The user is gone, so this is not permitted.",
};
