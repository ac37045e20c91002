/**
 * Keeps the permission prompts that wait for a verdict, and records every prompt in the store. Claude Code asks for
 * permission before it uses a tool that the configuration does not allow. A prompt without a verdict in time is denied.
 */
import { randomInt } from "node:crypto";
import { getLogger } from "@logtape/logtape";
import { spellOutToolUse, type ToolContent, toolContent } from "../claude/tool-use.ts";
import type { Config } from "../config/schema.ts";
import { type Clock, systemClock } from "../core/clock.ts";
import { hideSecrets } from "../core/secrets.ts";
import type { PermissionLog } from "../store/permissions.ts";
import type { Verdict } from "../wire/hooks.ts";

const log = getLogger(["synthesis", "permissions"]);

/** Letters and digits of an id; those that look alike are left out. */
const LETTERS = "abcdefghjkmnpqrstuvwxyz";
const DIGITS = "23456789";
/** How much of a tool's input is recorded, in characters. */
const MAX_INPUT = 4_000;

/** Claude's question whether it may use a tool. */
export interface PermissionPrompt {
  /** The key of the conversation. */
  readonly session: string;
  /** The id of the turn; null when Claude asks outside of the conversation's turns. */
  readonly turn: string | null;
  readonly tool: string;
  readonly input: unknown;
  /** The id of the person whose message Claude works on; null when the client does not name one. */
  readonly sender: string | null;
}

/**
 * Where a verdict came from, as the store records it.
 * - `chat`: the user answered in the chat.
 * - `control`: a request with the control key answered.
 * - `spoke`: the user sent another message instead of an answer.
 * - `timeout`: the prompt was not answered in time.
 * - `nobody`: the chat has no one who could answer.
 * - `gone`: the turn or its process ended first.
 */
type PermissionWay = "chat" | "control" | "spoke" | "timeout" | "nobody" | "gone";

interface Decision {
  readonly behavior: Verdict["behavior"];
  readonly way: PermissionWay;
  /** The id of the person who decided; null when it is not known. */
  readonly by: string | null;
  /** What is allowed from now on in this conversation, in Claude Code's rule syntax. Only with `allow`. */
  readonly rule?: string | undefined;
}

/** A permission prompt that waits for a verdict. */
export interface PendingPrompt extends PermissionPrompt {
  /** Short, because a person types it. */
  readonly id: string;
  /** The use of the tool, on one line. */
  readonly description: string;
  /** The long text that the use depends on, such as a file's new content. Absent when `description` has all of it. */
  readonly content?: ToolContent | undefined;
  readonly askedAt: number;
}

export interface PermissionBroker {
  /** The prompts that wait, oldest first. */
  readonly pending: readonly PendingPrompt[];
  /**
   * Waits for the verdict on a prompt.
   * @param onPending called at once with the prompt as it waits, unless `signal` is aborted already
   * @param signal aborted when Claude no longer needs the verdict; the prompt is denied then
   */
  ask(prompt: PermissionPrompt, onPending: (pending: PendingPrompt) => void, signal: AbortSignal): Promise<Verdict>;
  /** Calls the listener with each prompt that begins to wait. */
  onPrompt(listener: (pending: PendingPrompt) => void): void;
  /** The use of a tool on one line, without secrets. */
  describe(tool: string, input: unknown): string;
  /** Records a prompt that no one can answer, and denies it. */
  refuse(prompt: PermissionPrompt): Verdict;
  /** The rules that were allowed in a conversation since then, in Claude Code's rule syntax. */
  grantedRules(session: string, since: number): readonly string[];
  /** Decides a prompt that waits. False when no prompt with this id waits. */
  answer(id: string, decision: Decision): boolean;
}

export interface PermissionBrokerDeps {
  readonly config: Pick<Config, "permissionTimeoutMs">;
  readonly permissionLog: Pick<PermissionLog, "insertPrompt" | "setVerdict" | "rules">;
  /** The server's environment. The values of its secrets are hidden in descriptions. */
  readonly env: Record<string, string | undefined>;
  readonly clock?: Clock;
}

export function createPermissionBroker({
  config,
  permissionLog,
  env,
  clock = systemClock,
}: PermissionBrokerDeps): PermissionBroker {
  const hide = hideSecrets(env);
  const waiting = new Map<string, { pending: PendingPrompt; decide: (decision: Decision) => void }>();
  const listeners = new Set<(pending: PendingPrompt) => void>();

  function newId(): string {
    const id = [LETTERS, DIGITS, LETTERS, DIGITS].map((from) => from[randomInt(from.length)]).join("");
    return waiting.has(id) ? newId() : id;
  }

  /** Writes to the permission log. A failure is only logged, because the verdict does not depend on the record. */
  function record(write: () => void): void {
    try {
      write();
    } catch (error) {
      log.error("permission prompt not recorded: {error}", { error });
    }
  }

  function recordPrompt({ session, turn, tool, input, sender }: PermissionPrompt): string {
    // The short ids are used again after a while, so a row has an id of its own.
    const rowId = crypto.randomUUID();
    const text = JSON.stringify(input ?? null).slice(0, MAX_INPUT);
    const askedAt = clock.wallTime();
    record(() => permissionLog.insertPrompt({ id: rowId, session, turn, tool, input: text, sender, askedAt }));
    return rowId;
  }

  function recordDecision(
    rowId: string,
    { session, tool }: PermissionPrompt,
    { behavior, way, by, rule }: Decision,
  ): void {
    log.info("permission prompt decided: {verdict} ({way})", { verdict: behavior, way, session, tool });
    const decidedAt = clock.wallTime();
    record(() =>
      permissionLog.setVerdict(rowId, { verdict: behavior, way, rule: rule ?? null, decidedBy: by, decidedAt }),
    );
  }

  return {
    get pending() {
      return [...waiting.values()].map(({ pending }) => pending);
    },
    ask: (prompt, onPending, signal) => {
      const id = newId();
      const rowId = recordPrompt(prompt);
      const pending: PendingPrompt = {
        ...prompt,
        id,
        description: spellOutToolUse(prompt.tool, prompt.input, hide),
        content: toolContent(prompt.tool, prompt.input, hide) ?? undefined,
        askedAt: clock.wallTime(),
      };
      const { promise, resolve } = Promise.withResolvers<Verdict>();
      const decide = (decision: Decision) => {
        if (!waiting.delete(id)) return;
        cancelDeadline();
        signal.removeEventListener("abort", onAbort);
        recordDecision(rowId, prompt, decision);
        resolve(verdictOf(decision));
      };
      const onAbort = () => decide({ behavior: "deny", way: "gone", by: null });
      const cancelDeadline = clock.after(config.permissionTimeoutMs, () =>
        decide({ behavior: "deny", way: "timeout", by: null }),
      );
      waiting.set(id, { pending, decide });
      signal.addEventListener("abort", onAbort);
      if (signal.aborted) onAbort();
      else {
        onPending(pending);
        for (const listener of listeners) listener(pending);
      }
      return promise;
    },
    onPrompt: (listener) => {
      listeners.add(listener);
    },
    describe: (tool, input) => spellOutToolUse(tool, input, hide),
    refuse: (prompt) => {
      const decision: Decision = { behavior: "deny", way: "nobody", by: null };
      recordDecision(recordPrompt(prompt), prompt, decision);
      return verdictOf(decision);
    },
    grantedRules: permissionLog.rules,
    answer: (id, decision) => {
      const prompt = waiting.get(id);
      prompt?.decide(decision);
      return prompt !== undefined;
    },
  };
}

/** The verdict as Claude Code receives it. It reads the message only when it is denied. */
const verdictOf = ({ behavior, way, rule }: Decision): Verdict => ({
  behavior,
  message: REFUSALS[way],
  rule: rule ?? null,
});

/** Why a prompt was denied, as Claude reads it. */
const REFUSALS: Record<PermissionWay, string> = {
  chat: "The user has refused this. Do without it, or ask what to do instead.",
  control: "The user has refused this. Do without it, or ask what to do instead.",
  spoke: "The user sent another message instead of an answer, so this is not permitted.",
  timeout: "The user did not answer in time, so this is not permitted. Do without it.",
  nobody: "The user cannot be asked in this chat, so this is not permitted. Do without it, or say what you would need.",
  gone: "The user has left, so this is not permitted.",
};
