/**
 * `synthesis setup openclaw`: what has to change so that OpenClaw and synthesis know each other, as a list
 * that can be shown, carried out, and taken back.
 */
import { chmodSync, copyFileSync, existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { z } from "zod";
import type { Paths } from "../config/paths.ts";
import type { Config } from "../config/schema.ts";
import { rootsIn, writeAllowedRoots } from "./allowed-roots.ts";
import {
  hasPlugin,
  MODEL_REF,
  type OnDisk,
  PROVIDER,
  patchesToAdd,
  patchesToRemove,
  primary,
} from "./openclaw-config.ts";
import { isPluginWritten, pluginVersion, writeOpenClawPlugin } from "./openclaw-plugin.ts";
import type { OpenClawAgent, OpenClawProgram } from "./openclaw-program.ts";

/** One thing to do. */
export interface Step {
  /** The file or the program it changes. */
  readonly where: string;
  /** For people; empty when it only tidies up. */
  readonly lines: readonly string[];
  readonly carryOut: () => void | Promise<void>;
}

export interface Situation {
  readonly openclaw: OpenClawProgram;
  readonly configFile: string;
  readonly onDisk: OnDisk;
  readonly agents: readonly OpenClawAgent[];
  readonly paths: Paths;
  readonly config: Config;
  /** Changes the allowed roots of a server that runs; one that starts later reads the file. */
  readonly changeRoots: (change: { add?: readonly string[]; remove?: readonly string[] }) => Promise<void>;
}

/** What a removal has to know, beside our state. */
const record = z.object({
  /** Where its program was, if it was named. */
  program: z.string().nullable(),
  /** The default model before ours. */
  formerModel: z.string().nullable(),
  /** The allowed roots that were added, and those in the file before, if there were any. */
  addedRoots: z.array(z.string()),
  hadRoots: z.boolean(),
});
export type SetupRecord = z.infer<typeof record>;

const NOTHING: SetupRecord = { program: null, formerModel: null, addedRoots: [], hadRoots: true };

/** What an earlier setup has done. */
export function readRecord({ openClawRecord }: Paths): SetupRecord | null {
  if (!existsSync(openClawRecord)) return null;
  try {
    return record.parse(JSON.parse(readFileSync(openClawRecord, "utf8")));
  } catch {
    // An unusable one is as good as none: a removal then leaves what it cannot know to be ours.
    return null;
  }
}

/** @param wanted the server's port, the chat key, whether our model becomes the default, the program if it was named */
export function stepsToAdd(
  situation: Situation,
  wanted: { port: number; key: string; asDefault: boolean; program: string | null },
): Step[] {
  const { openclaw, configFile, onDisk, paths, config } = situation;
  const openClawConfig = onDisk.config;
  const steps: Step[] = [];
  const known = readRecord(paths) ?? { ...NOTHING, hadRoots: rootsIn(paths.configFile) !== null };
  let next: SetupRecord = { ...known, program: wanted.program ?? known.program };

  const former = primary(openClawConfig.agents?.defaults?.model);
  const { patches, lines } = patchesToAdd(openClawConfig, {
    ...wanted,
    keyPlace: config.apiKey ? "synthesis's configuration" : paths.chatKey,
  });
  if (lines.length > 0) {
    if (wanted.asDefault && former !== MODEL_REF) next = { ...next, formerModel: former ?? null };
    steps.push({
      where: configFile,
      lines,
      carryOut: async () => {
        for (const patch of patches) await patchOpenClaw(openclaw, patch);
      },
    });
  }

  const folder = paths.openClawPlugin;
  const loaded = hasPlugin(openClawConfig, folder);
  if (loaded === "absent" || !isPluginWritten(folder)) {
    const before = loaded === "absent" ? null : pluginVersion(folder);
    steps.push({
      where: configFile,
      lines: [`${before ? "~" : "+"} plugin ${PROVIDER}: ${before ? `${before}, renewed in` : "from"} ${folder}`],
      carryOut: async () => {
        writeOpenClawPlugin(folder);
        // Forced, because it does not come from OpenClaw's own shop; the person has just agreed to it.
        await openclaw.run(["plugins", "install", "--link", folder, "--force", "--accept-capabilities"]);
      },
    });
  }

  const roots = rootsIn(paths.configFile) ?? [config.workspace];
  const there = roots.map((root) => resolve(root));
  const added = [...new Set(situation.agents.map(({ workspace }) => resolve(workspace)))].filter(
    (workspace) => !there.includes(workspace),
  );
  if (added.length > 0) {
    next = { ...next, addedRoots: [...next.addedRoots, ...added] };
    steps.push({
      where: paths.configFile,
      lines: added.map((root) => `+ allowedRoots: ${root}`),
      carryOut: async () => {
        writeAllowedRoots(paths.configFile, [...roots, ...added]);
        await situation.changeRoots({ add: added });
      },
    });
  }
  if (steps.length > 0) steps.push(keepRecord(paths, next));
  return [...warning(situation, steps), ...steps];
}

/** Takes out what a setup has put in, and nothing else. */
export function stepsToRemove(situation: Situation): Step[] {
  const { openclaw, configFile, onDisk, paths } = situation;
  const openClawConfig = onDisk.config;
  const steps: Step[] = [];
  const known = readRecord(paths) ?? NOTHING;
  const { patches, lines } = patchesToRemove(openClawConfig, known.formerModel);
  const folder = paths.openClawPlugin;
  if (hasPlugin(openClawConfig, folder) !== "absent") {
    steps.push({
      where: configFile,
      lines: [`- plugin ${PROVIDER}`],
      carryOut: async () => {
        await openclaw.run(["plugins", "uninstall", PROVIDER, "--force"]);
        // OpenClaw remembers that it was switched off.
        await patchOpenClaw(openclaw, { plugins: { entries: { [PROVIDER]: null } } });
      },
    });
  }
  if (lines.length > 0) {
    steps.push({
      where: configFile,
      lines,
      carryOut: async () => {
        for (const { patch, replaced } of patches) await patchOpenClaw(openclaw, patch, replaced);
      },
    });
  }
  const roots = rootsIn(paths.configFile) ?? [];
  const ours = known.addedRoots.filter((root) => roots.includes(root));
  if (ours.length > 0) {
    const left = roots.filter((root) => !ours.includes(root));
    steps.push({
      where: paths.configFile,
      lines: ours.map((root) => `- allowedRoots: ${root}`),
      carryOut: async () => {
        writeAllowedRoots(paths.configFile, known.hadRoots ? left : null);
        await situation.changeRoots({ remove: ours });
      },
    });
  }
  if (existsSync(folder) || existsSync(paths.openClawRecord)) {
    steps.push({
      where: paths.home,
      lines: [`- ${folder}`],
      carryOut: () => {
        rmSync(folder, { recursive: true, force: true });
        rmSync(paths.openClawRecord, { force: true });
      },
    });
  }
  return [...warning(situation, steps), ...steps];
}

/** What a person should know before these steps are taken. */
function warning({ configFile, onDisk }: Situation, steps: readonly Step[]): Step[] {
  if (onDisk.arePlain || !steps.some(({ where }) => where === configFile)) return [];
  const lines = ["! OpenClaw writes its configuration without comments; those there are will be in the copy only"];
  return [{ where: configFile, lines, carryOut: () => {} }];
}

/**
 * Copies a file beside itself, readable by its owner only.
 * @param now in ms
 * @returns the copy's path
 */
export function backUp(file: string, now: number): string {
  const copy = `${file}.before-synthesis-${new Date(now).toISOString().replace(/[:.]/g, "-")}`;
  copyFileSync(file, copy);
  chmodSync(copy, 0o600);
  return copy;
}

/** Not as a file nor as an argument: it may hold the key. */
async function patchOpenClaw(openclaw: OpenClawProgram, patch: object, replaced?: string): Promise<void> {
  const replace = replaced ? ["--replace-path", replaced] : [];
  await openclaw.run(["config", "patch", "--stdin", ...replace], JSON.stringify(patch));
}

const keepRecord = ({ openClawRecord }: Paths, value: SetupRecord): Step => ({
  where: openClawRecord,
  lines: [],
  carryOut: () => writeFileSync(openClawRecord, `${JSON.stringify(value, null, 2)}\n`, { mode: 0o600 }),
});
