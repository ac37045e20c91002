/**
 * The changes with which OpenClaw and synthesis work together, and those that undo them, as lists of steps. The command
 * line prints a list before it runs it.
 */
import { existsSync, rmSync } from "node:fs";
import { resolve } from "node:path";
import type { Paths } from "../config/paths.ts";
import type { Config } from "../config/schema.ts";
import { readAllowedRoots, writeAllowedRoots } from "./allowed-roots.ts";
import { MODEL_REF, type OnDisk, PROVIDER, pluginState, primaryModel } from "./openclaw-config.ts";
import { patchesToAdd, patchesToRemove } from "./openclaw-patches.ts";
import { isPluginWritten, pluginVersion, writeOpenClawPlugin } from "./openclaw-plugin.ts";
import type { OpenClawAgent, OpenClawProgram } from "./openclaw-program.ts";
import { readRecord, type SetupRecord, writeRecord } from "./openclaw-record.ts";

export interface Step {
  /** The file that the step changes. */
  readonly where: string;
  /** What the step changes, for people. Empty for a step that people need not know about. */
  readonly lines: readonly string[];
  readonly carryOut: () => void | Promise<void>;
}

/** Both programs as they are before the setup. */
export interface Situation {
  readonly openclaw: OpenClawProgram;
  /** OpenClaw's configuration file. */
  readonly configFile: string;
  readonly onDisk: OnDisk;
  readonly agents: readonly OpenClawAgent[];
  readonly paths: Paths;
  readonly config: Config;
  /** Changes the allowed roots of the running server, if one runs. A server that starts later reads the file. */
  readonly changeRoots: (change: { add?: readonly string[]; remove?: readonly string[] }) => Promise<void>;
}

interface Wanted {
  /** Where OpenClaw reaches the server. */
  readonly baseUrl: string;
  /** The user has given this URL, because OpenClaw runs elsewhere. */
  readonly isElsewhere: boolean;
  /** The chat key. */
  readonly key: string;
  /** Whether our model becomes OpenClaw's default. */
  readonly asDefault: boolean;
  /** The path of the OpenClaw program, if it was given. */
  readonly program: string | null;
}

const NO_RECORD: SetupRecord = { program: null, baseUrl: null, formerModel: null, addedRoots: [], hadRoots: true };

/** Adds our provider and our plugin to OpenClaw, and its workspaces to the allowed roots. */
export function stepsToAdd(situation: Situation, wanted: Wanted): Step[] {
  const { onDisk, paths } = situation;
  const known = readRecord(paths) ?? { ...NO_RECORD, hadRoots: readAllowedRoots(paths.configFile) !== null };
  const provider = providerStep(situation, wanted);
  const roots = missingRoots(situation);
  const steps = [provider, pluginStep(situation), rootsStep(situation, roots)].filter((step) => step !== null);
  if (steps.length === 0) return [];
  const formerModel = primaryModel(onDisk.config.agents?.defaults?.model);
  const changesModel = provider && wanted.asDefault && formerModel !== MODEL_REF;
  const record: SetupRecord = {
    ...known,
    program: wanted.program ?? known.program,
    baseUrl: wanted.isElsewhere ? wanted.baseUrl : null,
    formerModel: changesModel ? (formerModel ?? null) : known.formerModel,
    addedRoots: [...known.addedRoots, ...roots],
  };
  steps.push({ where: paths.openClawRecord, lines: [], carryOut: () => writeRecord(paths, record) });
  return [...commentsWarning(situation, steps), ...steps];
}

function providerStep({ openclaw, configFile, onDisk, paths, config }: Situation, wanted: Wanted): Step | null {
  const { patches, lines } = patchesToAdd(onDisk.config, {
    ...wanted,
    keySource: config.apiKey ? "synthesis's configuration" : paths.chatKey,
  });
  if (lines.length === 0) return null;
  return {
    where: configFile,
    lines,
    carryOut: async () => {
      for (const patch of patches) await patchOpenClaw(openclaw, patch);
    },
  };
}

function pluginStep({ openclaw, configFile, onDisk, paths }: Situation): Step | null {
  const folder = paths.openClawPlugin;
  const isAbsent = pluginState(onDisk.config, folder) === "absent";
  if (!isAbsent && isPluginWritten(folder)) return null;
  const former = isAbsent ? null : pluginVersion(folder);
  return {
    where: configFile,
    lines: [former ? `~ plugin ${PROVIDER}: ${former}, updated in ${folder}` : `+ plugin ${PROVIDER}: from ${folder}`],
    carryOut: async () => {
      writeOpenClawPlugin(folder);
      // Without --force OpenClaw asks about a plugin that is not from its own registry. The user has just agreed.
      await openclaw.run(["plugins", "install", "--link", folder, "--force", "--accept-capabilities"]);
    },
  };
}

/** The roots in the configuration file, or the workspace, which is allowed when the file has none. */
const currentRoots = ({ paths, config }: Situation): string[] =>
  readAllowedRoots(paths.configFile) ?? [config.workspace];

/** The workspaces of OpenClaw's agents that are not among the allowed roots. */
function missingRoots(situation: Situation): string[] {
  const allowed = currentRoots(situation).map((root) => resolve(root));
  const workspaces = situation.agents.map(({ workspace }) => resolve(workspace));
  return [...new Set(workspaces)].filter((workspace) => !allowed.includes(workspace));
}

function rootsStep(situation: Situation, added: readonly string[]): Step | null {
  if (added.length === 0) return null;
  const { configFile } = situation.paths;
  const roots = [...currentRoots(situation), ...added];
  return {
    where: configFile,
    lines: added.map((root) => `+ allowedRoots: ${root}`),
    carryOut: async () => {
      writeAllowedRoots(configFile, roots);
      await situation.changeRoots({ add: added });
    },
  };
}

/** Removes what a setup has added, and nothing else. */
export function stepsToRemove(situation: Situation): Step[] {
  const { openclaw, configFile, onDisk, paths } = situation;
  const known = readRecord(paths) ?? NO_RECORD;
  const folder = paths.openClawPlugin;
  const steps: Step[] = [];
  if (pluginState(onDisk.config, folder) !== "absent") {
    steps.push({
      where: configFile,
      lines: [`- plugin ${PROVIDER}`],
      carryOut: async () => {
        await openclaw.run(["plugins", "uninstall", PROVIDER, "--force"]);
        // After an uninstall OpenClaw still has an entry that says the plugin is disabled.
        await patchOpenClaw(openclaw, { plugins: { entries: { [PROVIDER]: null } } });
      },
    });
  }
  const { patches, lines } = patchesToRemove(onDisk.config, known.formerModel);
  if (lines.length > 0) {
    steps.push({
      where: configFile,
      lines,
      carryOut: async () => {
        for (const { patch, replaced } of patches) await patchOpenClaw(openclaw, patch, replaced);
      },
    });
  }
  const roots = readAllowedRoots(paths.configFile) ?? [];
  const ours = known.addedRoots.filter((root) => roots.includes(root));
  if (ours.length > 0) {
    const others = roots.filter((root) => !ours.includes(root));
    steps.push({
      where: paths.configFile,
      lines: ours.map((root) => `- allowedRoots: ${root}`),
      carryOut: async () => {
        writeAllowedRoots(paths.configFile, known.hadRoots ? others : null);
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
  return [...commentsWarning(situation, steps), ...steps];
}

/** Warns that OpenClaw drops the comments of its configuration file when it writes it. */
function commentsWarning({ configFile, onDisk }: Situation, steps: readonly Step[]): Step[] {
  if (onDisk.isPlainJson || !steps.some(({ where }) => where === configFile)) return [];
  const lines = ["! OpenClaw writes its configuration without comments. Only the backup keeps them."];
  return [{ where: configFile, lines, carryOut: () => {} }];
}

/** The patch may contain the key, so it is passed on stdin: other users can read the arguments of a process. */
async function patchOpenClaw(openclaw: OpenClawProgram, patch: object, replaced?: string): Promise<void> {
  const replace = replaced ? ["--replace-path", replaced] : [];
  await openclaw.run(["config", "patch", "--stdin", ...replace], JSON.stringify(patch));
}
