/**
 * The status line of Claude Code. After each answer Claude Code runs a command and hands it its figures: how much of the
 * plan and of the context is used, the cost, the prompt cache. Our command writes them to a file in the process's folder,
 * where the server reads them, so it needs neither a token nor a connection.
 */
import { join } from "node:path";
import { getLogger } from "@logtape/logtape";
import { z } from "zod";
import { JsonRejected, parseJson } from "../../core/json-gate.ts";
import { readSmallFile } from "../../core/regular-file.ts";
import type { SessionFigures } from "../../core/session-figures.ts";
import { type Watch, watchChanges } from "../../core/watch-file.ts";
import type { ReportedWindow } from "../../limits/account.ts";
import { settingsFiles } from "../settings-files.ts";

const log = getLogger(["synthesis", "process"]);

const FILE = "figures.json";

/**
 * The setting `statusLine`. The user's own status line is shown as before: its command runs after ours, with the same
 * input.
 * @param folder an empty folder for the file
 * @param env the environment that Claude Code gets
 */
export function statusLine(folder: string, workspace: string, env: Record<string, string | undefined>): object {
  const own = settingsFiles(workspace, env).findLast(({ settings }) => settings.statusLine)?.settings.statusLine;
  const file = shellQuoted(join(folder, FILE));
  // The server never sees half a file, because a rename replaces it at once. The command may run twice at a time.
  const save = `(umask 077; cat > ${file}.$$) && mv -f ${file}.$$ ${file}`;
  // `eval` keeps the user's command in one piece, whatever it ends with.
  const command = own ? `${save}; eval ${shellQuoted(own.command)} < ${file}` : save;
  return { ...own, type: "command", command };
}

const shellQuoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;

/** What Claude Code reports with one status line. */
export interface StatusReport {
  /** The windows of the plan that are new; empty when Claude Code does not know any, for example with an API key. */
  readonly windows: readonly ReportedWindow[];
  readonly figures: SessionFigures;
}

const number = z.number().nullish().catch(null);
const status = z.looseObject({
  rate_limits: z.record(z.string(), z.unknown()).optional().catch(undefined),
  context_window: z.looseObject({ used_percentage: number }).optional().catch(undefined),
  cost: z.looseObject({ total_cost_usd: number }).optional().catch(undefined),
  prompt_cache: z
    .looseObject({
      hit_ratio: number,
      misses: number,
      last_miss_cause: z
        .looseObject({ causes: z.array(z.string()) })
        .nullish()
        .catch(null),
    })
    .optional()
    .catch(undefined),
});
/** `resets_at` is in seconds. */
const rateLimit = z.looseObject({ used_percentage: z.number(), resets_at: number });

/** @returns null when the text is not what Claude Code hands to a status line */
export function parseStatus(text: string): StatusReport | null {
  let value: unknown;
  try {
    value = parseJson(text);
  } catch (error) {
    if (error instanceof JsonRejected || error instanceof SyntaxError) return null;
    throw error;
  }
  const parsed = status.safeParse(value);
  if (!parsed.success) return null;
  const { rate_limits: limits = {}, context_window: context, cost, prompt_cache: cache } = parsed.data;
  return {
    windows: Object.entries(limits).flatMap(([name, reported]) => {
      const limit = rateLimit.safeParse(reported);
      if (!limit.success) return [];
      const { used_percentage: usedPercent, resets_at: resetsAt } = limit.data;
      return [{ name, usedPercent, resetsAt: typeof resetsAt === "number" ? resetsAt * 1000 : null }];
    }),
    figures: {
      contextUsedPercent: context?.used_percentage ?? null,
      costUsd: cost?.total_cost_usd ?? null,
      cacheHitRatio: cache?.hit_ratio ?? null,
      cacheMisses: cache?.misses ?? null,
      lastCacheMissCause: cache?.last_miss_cause?.causes.join(", ") ?? null,
    },
  };
}

/** Watches the file that the status line of one process writes. */
export class StatusLineWatch {
  readonly #folder: string;
  readonly #onReport: (report: StatusReport) => void;
  #watch: Watch | undefined;
  #lastText = "";
  #lastWindows = "";

  constructor(folder: string, onReport: (report: StatusReport) => void) {
    this.#folder = folder;
    this.#onReport = onReport;
  }

  /** The folder exists now. */
  begin(): void {
    this.#watch = watchChanges(this.#folder, () => this.#read());
    // Claude Code has reported once at its start: what the session had cost before, if it was resumed.
    this.#read();
  }

  /** The process has exited. */
  end(): void {
    this.#watch?.close();
  }

  #read(): void {
    let text: string;
    try {
      text = readSmallFile(join(this.#folder, FILE));
    } catch (error) {
      // Before the first answer there is none, and after the exit the folder is removed.
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") log.debug("figures not readable: {error}", { error });
      return;
    }
    if (text === this.#lastText) return;
    this.#lastText = text;
    const report = parseStatus(text);
    if (!report) return;
    // Claude Code also runs the command without a new answer. Another process may know newer figures of the plan then.
    const windows = JSON.stringify(report.windows);
    const isNew = windows !== this.#lastWindows;
    this.#lastWindows = windows;
    this.#onReport(isNew ? report : { ...report, windows: [] });
  }
}
