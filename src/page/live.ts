/** What the server says of itself, live. All views read these signals. */
import { computed, effect, signal } from "@preact/signals";
import type { LiveConversation, LiveData, LiveError, LiveEventName, LiveOverview } from "../wire/live.ts";
import type { PermissionPromptDetails } from "../wire/permissions.ts";
import { access, leave, Refused, role } from "./access.ts";
import { readEvents } from "./events.ts";
import { followOtherPrompts, otherPrompts } from "./other-prompts.ts";

export const overview = signal<LiveOverview | null>(null);
export const conversations = signal<ReadonlyMap<string, LiveConversation>>(new Map());
/** The permission prompts of this server. */
const ownPrompts = signal<readonly PermissionPromptDetails[]>([]);
/** All permission prompts that wait, those on other nodes of a fleet last. */
export const permissions = computed(() => {
  const own = ownPrompts.value;
  return [...own, ...otherPrompts.value.filter((other) => !own.some(({ id }) => id === other.id))];
});
export const errors = signal<readonly LiveError[]>([]);
/** How often the turns of each conversation have changed since the page was opened. */
export const changes = signal<ReadonlyMap<string, number>>(new Map());
export const connection = signal<"connecting" | "live" | "lost">("connecting");

/** The latest conversation first. */
export const latest = computed(() =>
  [...conversations.value.values()].sort((one, other) => other.last_active_at - one.last_active_at),
);

/** A conversation of a fleet needs a verdict, and no prompt of this server is its. */
const isAskedElsewhere = computed(() => {
  const isFleet = (overview.value?.nodes.length ?? 0) > 0;
  const isAskedHere = (key: string) => ownPrompts.value.some(({ session }) => session === key);
  return isFleet && latest.value.some(({ key, state }) => state === "needs_you" && !isAskedHere(key));
});

/** Between two attempts to connect, in ms: at first, and at most. */
const RETRY_MS = 500;
const MAX_RETRY_MS = 10_000;
/** The server says something at least every 15 s, in ms. A connection that is silent for longer is dead. */
const SILENCE_MS = 40_000;

/** Follows the server as long as the page is signed in. */
export function followServer(): void {
  followOtherPrompts(isAskedElsewhere);
  effect(() => {
    if (access.value.state !== "in") return;
    const ended = new AbortController();
    void follow(ended.signal);
    return () => {
      ended.abort();
      overview.value = null;
      conversations.value = new Map();
      ownPrompts.value = [];
      errors.value = [];
    };
  });
}

async function follow(ended: AbortSignal): Promise<void> {
  let retryMs = RETRY_MS;
  while (!ended.aborted) {
    if (connection.peek() !== "lost") connection.value = "connecting";
    const silent = new AbortController();
    let timer = setTimeout(() => silent.abort(), SILENCE_MS);
    try {
      await readEvents(
        "/v1/live",
        ({ event, data }) => {
          clearTimeout(timer);
          timer = setTimeout(() => silent.abort(), SILENCE_MS);
          retryMs = RETRY_MS;
          connection.value = "live";
          apply(event as LiveEventName, JSON.parse(data));
        },
        AbortSignal.any([ended, silent.signal]),
      );
    } catch (error) {
      // `send` has signed the page out if its token is no longer accepted. Everything else may pass.
      if (error instanceof Refused && access.peek().state !== "in") return;
    } finally {
      clearTimeout(timer);
    }
    if (ended.aborted) return;
    connection.value = "lost";
    await pause(retryMs, ended);
    retryMs = Math.min(2 * retryMs, MAX_RETRY_MS);
  }
}

/** Resolves after `ms`, or when `signal` is aborted. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  signal.addEventListener("abort", () => {
    clearTimeout(timer);
    resolve();
  });
  return promise;
}

type Handlers = { readonly [Name in LiveEventName]: (data: LiveData[Name]) => void };

const handlers: Handlers = {
  overview: (data) => {
    overview.value = data;
    role.value = data.role;
  },
  conversations: ({ whole, data, removed }) => {
    const next = new Map(whole ? [] : conversations.peek());
    for (const one of data) next.set(one.key, one);
    for (const key of removed) next.delete(key);
    conversations.value = next;
  },
  permissions: ({ data }) => {
    ownPrompts.value = data;
  },
  errors: ({ data }) => {
    errors.value = data;
  },
  timeline: ({ sessions }) => {
    const next = new Map(changes.peek());
    for (const key of sessions) next.set(key, (next.get(key) ?? 0) + 1);
    changes.value = next;
  },
  end: ({ reason }) => {
    if (reason === "signed_out") leave("You have signed out.");
  },
};

function apply<Name extends LiveEventName>(name: Name, data: LiveData[Name]): void {
  // A newer server may send events that this page does not know.
  handlers[name]?.(data);
}
