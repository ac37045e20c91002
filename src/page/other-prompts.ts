/**
 * The permission prompts that wait on other nodes of a fleet. The server's live events have its own prompts, and say of
 * the conversations of other nodes only that one waits there. While that is so, the page asks for them.
 */
import { effect, type ReadonlySignal, signal } from "@preact/signals";
import type { PermissionList, PermissionPromptDetails } from "../wire/permissions.ts";
import { access, get } from "./access.ts";

/** The server reads the conversations of other nodes as often, in ms. */
const INTERVAL_MS = 5_000;

export const otherPrompts = signal<readonly PermissionPromptDetails[]>([]);

/**
 * Asks as long as prompts wait elsewhere.
 * @param isAskedElsewhere a prompt waits on another node
 */
export function followOtherPrompts(isAskedElsewhere: ReadonlySignal<boolean>): void {
  effect(() => {
    if (access.value.state !== "in" || !isAskedElsewhere.value) {
      otherPrompts.value = [];
      return;
    }
    const ended = new AbortController();
    const read = () =>
      readPrompts(ended.signal).then(
        (prompts) => {
          otherPrompts.value = prompts;
        },
        // The next time may succeed. Until then what is shown stays.
        () => {},
      );
    void read();
    const timer = setInterval(read, INTERVAL_MS);
    return () => {
      ended.abort();
      clearInterval(timer);
    };
  });
}

/** The prompts of all nodes, with the text that does not fit on one line. */
async function readPrompts(signal: AbortSignal): Promise<PermissionPromptDetails[]> {
  const { data } = await get<PermissionList>("/v1/permissions", signal);
  const details = await Promise.allSettled(
    data.map(({ id }) => get<PermissionPromptDetails>(`/v1/permissions/${encodeURIComponent(id)}`, signal)),
  );
  // One that was answered meanwhile is no longer there.
  return details.flatMap((one) => (one.status === "fulfilled" ? one.value : []));
}
