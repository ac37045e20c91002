/** How the use of the plan's windows has changed since the server started. */
import type { AccountLimits, PlanWindow } from "../limits/account.ts";
import type { UsageReport } from "../wire/usage.ts";

/** So many changes of a window are kept, which is more than a week has at one percent each. */
const KEPT = 2_000;

interface Point {
  readonly at: number;
  readonly used_percent: number;
}

export class LimitsHistory {
  readonly #windows = new Map<string, Point[]>();

  constructor(limits: Pick<AccountLimits, "windows" | "onChange">) {
    this.#note(limits.windows());
    limits.onChange((windows) => this.#note(windows));
  }

  get all(): UsageReport["limits_history"] {
    return [...this.#windows].map(([name, points]) => ({ name, points }));
  }

  #note(windows: readonly PlanWindow[]): void {
    for (const { name, usedPercent, seenAt } of windows) {
      if (usedPercent === null) continue;
      const points = this.#windows.get(name) ?? [];
      if (points.at(-1)?.used_percent === usedPercent) continue;
      points.push({ at: seenAt, used_percent: usedPercent });
      this.#windows.set(name, points.slice(-KEPT));
    }
  }
}
