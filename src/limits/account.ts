/**
 * How much of the account's plan is used, as Claude Code last reported it. A plan has windows of time, each with a limit:
 * five hours, seven days, and others that Claude Code names.
 */
import { getLogger } from "@logtape/logtape";
import { type Clock, systemClock } from "../core/clock.ts";
import type { FiguresStore } from "../store/figures.ts";

const log = getLogger(["synthesis", "limits"]);

/** A window of the plan. What Claude Code has not said is null. */
export interface PlanWindow {
  /** `five_hour`, `seven_day`, or another name, as Claude Code says it. */
  readonly name: string;
  /** How much of the window's limit is used, in percent. It can exceed 100, because people can pay for more. */
  readonly usedPercent: number | null;
  /** When the window ends and the next one begins with nothing used, Unix time in ms. */
  readonly resetsAt: number | null;
  /** When Claude Code reported it, Unix time in ms. */
  readonly seenAt: number;
}

/** What Claude Code reports of a window. */
export type ReportedWindow = Omit<PlanWindow, "seenAt">;

/** Is called with all windows after a report that changed a figure. */
type LimitsListener = (windows: readonly PlanWindow[]) => void;

export class AccountLimits {
  readonly #clock: Pick<Clock, "wallTime">;
  readonly #store: Pick<FiguresStore, "noteWindows"> | undefined;
  readonly #windows = new Map<string, PlanWindow>();
  readonly #listeners = new Set<LimitsListener>();

  /** @param store keeps the figures for the next start of the server */
  constructor(clock: Pick<Clock, "wallTime"> = systemClock, store?: Pick<FiguresStore, "windows" | "noteWindows">) {
    this.#clock = clock;
    this.#store = store;
    for (const window of store?.windows() ?? []) this.#windows.set(window.name, window);
  }

  /**
   * All windows that Claude Code has reported. A window whose reset has passed has no figures, because what was used of
   * the next one is not known.
   */
  windows(): readonly PlanWindow[] {
    const now = this.#clock.wallTime();
    return [...this.#windows.values()].map((window) =>
      window.resetsAt !== null && window.resetsAt <= now ? { ...window, usedPercent: null, resetsAt: null } : window,
    );
  }

  /** Notes a report of Claude Code. Windows that it does not name keep their figures. */
  note(reported: readonly ReportedWindow[]): void {
    const seenAt = this.#clock.wallTime();
    let isChanged = false;
    for (const window of reported) {
      const before = this.#windows.get(window.name);
      isChanged ||= before?.usedPercent !== window.usedPercent || before.resetsAt !== window.resetsAt;
      this.#windows.set(window.name, { ...window, seenAt });
    }
    if (!isChanged) return;
    this.#store?.noteWindows([...this.#windows.values()]);
    const windows = this.windows();
    log.debug("the plan is used: {windows}", { windows });
    for (const listener of this.#listeners) listener(windows);
  }

  /** Calls the listener after each report that changed a figure. */
  onChange(listener: LimitsListener): void {
    this.#listeners.add(listener);
  }
}
