/**
 * What Claude Code has reported about the settings that it uses. The question delays the first message by 12 ms, and the
 * same program reports the same for the same files, so each is asked once.
 */
import type { Config } from "../../config/schema.ts";
import type { Clock } from "../../core/clock.ts";
import { tryReadSmallFile } from "../../core/regular-file.ts";
import { findExecutable, programId } from "../executable.ts";
import type { LaunchChoice } from "../launch-spec.ts";
import { MANAGED_SETTINGS_FOLDER, managedPaths } from "../managed-settings.ts";
import { settingsPaths } from "../settings-files.ts";
import type { UsedSettings } from "../unreadable-settings.ts";

/** Settings that an administrator manages from elsewhere are in no file that is compared, so a report expires, in ms. */
const REPORT_MS = 10 * 60_000;

export interface SettingsReport extends UsedSettings {
  /** Claude Code's name for the model that it uses when the request names none. */
  readonly defaultModel: string;
}

interface KeptReport {
  readonly report: SettingsReport;
  readonly fingerprint: string;
  readonly at: number;
}

type Place = Pick<LaunchChoice, "workspace" | "isIsolated">;

export class SettingsReports {
  readonly #config: Pick<Config, "claudeBin">;
  readonly #env: Record<string, string | undefined>;
  readonly #clock: Clock;
  /** By the options that decide which files Claude Code reads. */
  readonly #kept = new Map<string, KeptReport>();

  /** @param env the environment that Claude Code gets */
  constructor(config: Pick<Config, "claudeBin">, env: Record<string, string | undefined>, clock: Clock) {
    this.#config = config;
    this.#env = env;
    this.#clock = clock;
  }

  /**
   * The report of a process that starts.
   * @param started resolves when the process has read its settings; null when only its report shows that
   * @param ask asks the process; null when it does not say
   */
  async find(
    place: Place,
    started: Promise<unknown> | null,
    ask: () => Promise<SettingsReport | null>,
  ): Promise<SettingsReport | null> {
    const before = this.#fingerprint(place);
    if (started && this.#known(place, before)) {
      await started;
      // Compared again, because the files may have changed before the process has read them.
      const known = this.#known(place, this.#fingerprint(place));
      if (known) return known;
    }
    const report = await ask();
    if (report !== null && before === this.#fingerprint(place)) {
      this.#kept.set(keyOf(place), { report, fingerprint: before, at: this.#clock.now() });
    }
    return report;
  }

  #known(place: Place, fingerprint: string): SettingsReport | null {
    const kept = this.#kept.get(keyOf(place));
    if (!kept || kept.fingerprint !== fingerprint || this.#clock.now() - kept.at >= REPORT_MS) return null;
    return kept.report;
  }

  /** Changes with the program, and with the content of each file that it may read. */
  #fingerprint({ workspace }: Place): string {
    const program = findExecutable(this.#config.claudeBin, this.#env);
    const files = [...settingsPaths(workspace, this.#env), ...managedPaths(MANAGED_SETTINGS_FOLDER)];
    const contents = [program && programId(program), ...files.map(tryReadSmallFile)];
    return Bun.CryptoHasher.hash("sha256", JSON.stringify(contents), "base64");
  }
}

const keyOf = ({ workspace, isIsolated }: Place): string => JSON.stringify([workspace, isIsolated]);
