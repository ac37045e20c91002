/** How a setting is written in each source of the configuration. In the configuration file it has its own name. */
import { type Setting, settings } from "./schema.ts";

export const settingNames = Object.keys(settings) as Setting[];

/** `idleKillMs` → `SYNTHESIS_IDLE_KILL_MS` */
export const environmentName = (setting: string): string =>
  `SYNTHESIS_${setting.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`;

/** `idleKillMs` → `--idle-kill-ms` */
export const flagName = (setting: string): string =>
  `--${setting.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
