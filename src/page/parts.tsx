/** Small pieces that several views have. */
import type { ComponentChildren } from "preact";
import type { LiveConversation } from "../wire/live.ts";
import { role } from "./access.ts";
import { now } from "./clock.ts";
import { ago, dateTime, percent } from "./format.ts";

const STATES = { running: "running", needs_you: "needs you", idle: "idle", cold: "cold" } as const;

export const StateBadge = ({ state }: { readonly state: LiveConversation["state"] }) => (
  <span class={`badge ${state}`}>{STATES[state]}</span>
);

/** A time that has passed, such as `5 min ago`, with the exact one as its title. */
export const Ago = ({ at }: { readonly at: number }) => (
  <time dateTime={new Date(at).toISOString()} title={dateTime(at)}>
    {ago(at, Math.max(now.value, at))}
  </time>
);

/** A share as a bar with its figure. @param used from 0 to 100; null when it is unknown */
export const Meter = ({ label, used, note }: { label: string; used: number | null; note?: ComponentChildren }) => (
  <div class="meter">
    <span class="meter-label">{label}</span>
    <span class="meter-value">{percent(used)}</span>
    <progress
      class={level(used)}
      max={100}
      value={Math.min(used ?? 0, 100)}
      aria-label={`${label}: ${percent(used)}`}
    />
    {note && <span class="note">{note}</span>}
  </div>
);

const level = (used: number | null): string => (used === null ? "" : used >= 95 ? "bad" : used >= 80 ? "warn" : "");

/** A figure with its name. */
export const Figure = ({ name, children }: { readonly name: string; readonly children: ComponentChildren }) => (
  <div class="figure">
    <dt>{name}</dt>
    <dd>{children}</dd>
  </div>
);

/** A sentence of the server, in which what is between backticks is to be typed. */
export const Prose = ({ text }: { readonly text: string }) => (
  <>{text.split("`").map((part, index) => (index % 2 === 1 ? <code key={`${index} ${part}`}>{part}</code> : part))}</>
);

/** Says that an action failed, and is read out. */
export const Problem = ({ message }: { readonly message: string | null }) =>
  message === null ? null : (
    <p class="problem" role="alert">
      <Prose text={message} />
    </p>
  );

export const mayDecide = (): boolean => role.value === "decide";

/** Why the controls of a page that may only look are off. */
export const LookOnly = () =>
  mayDecide() ? null : (
    <p class="note">
      This page may only look. Run <code>synthesis open</code> without <code>--look</code> to decide here.
    </p>
  );

export const Empty = ({ children }: { readonly children: ComponentChildren }) => <p class="empty">{children}</p>;

/** A part that is larger than its space, and is scrolled with the keyboard, too. */
export const Scroll = ({ label, of, children }: { label: string; of: string; children: ComponentChildren }) => (
  // biome-ignore lint/a11y/noNoninteractiveTabindex: otherwise the keyboard could not scroll it
  <section class={of} tabIndex={0} aria-label={label}>
    {children}
  </section>
);
