/** Notifications of permission prompts. Prompts of the same second share one, and only those that still wait are in it. */
import type { Clock } from "../core/clock.ts";
import { visibleLine } from "../core/visible-text.ts";
import type { PendingPrompt, PermissionBroker } from "../permissions/broker.ts";
import type { PromptNotice } from "./notification.ts";
import type { Outbox } from "./outbox.ts";

/** How long prompts are gathered, in ms. A prompt that is answered within this time is not announced. */
const GATHER_MS = 1_000;
/** How many prompts one notification names. */
const MAX_NAMED = 10;
/** How much of a description is shown, in characters. */
const MAX_DESCRIPTION = 300;

interface PromptsDeps {
  readonly outbox: Pick<Outbox, "add">;
  readonly permissions: Pick<PermissionBroker, "pending" | "onPrompt">;
  /** Whether notifications may say what is asked. */
  readonly withContent: boolean;
  readonly clock: Clock;
}

/** Starts to announce prompts. @returns stops it */
export function announcePrompts({ outbox, permissions, withContent, clock }: PromptsDeps): () => void {
  /** The prompts of the next notification, which has not been read yet; null when none is planned. */
  let gathered: PendingPrompt[] | null = null;
  let cancel = () => {};

  function announce(prompts: readonly PendingPrompt[]): void {
    outbox.add({
      read: () => {
        // From now on the receiver may have them, so later prompts go into another notification.
        if (gathered === prompts) gathered = null;
        const waiting = prompts.filter((prompt) => permissions.pending.includes(prompt));
        if (waiting.length === 0) return null;
        const named = waiting.slice(0, MAX_NAMED).map((prompt) => noticeOf(prompt, withContent));
        return { kind: "permission_prompt", count: waiting.length, prompts: named };
      },
    });
  }

  permissions.onPrompt((prompt) => {
    if (gathered) {
      gathered.push(prompt);
      return;
    }
    const prompts = [prompt];
    gathered = prompts;
    cancel = clock.after(GATHER_MS, () => announce(prompts));
  });
  return () => cancel();
}

function noticeOf({ id, tool, session, description }: PendingPrompt, withContent: boolean): PromptNotice {
  // The name of another tool may be the name of a customer or a project.
  const own = /^[A-Z][A-Za-z]{0,39}$/.test(tool) ? tool : null;
  if (!withContent) return { id, tool: own };
  return { id, tool, session: visibleLine(session), description: visibleLine(description).slice(0, MAX_DESCRIPTION) };
}
