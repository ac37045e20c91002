/** `synthesis setup openclaw` and `synthesis setup claude`: show what would change, ask, and do it. */
import { existsSync, mkdirSync } from "node:fs";
import { createInterface } from "node:readline/promises";
import { Command, Option } from "commander";
import { z } from "zod";
import { MANAGED_SETTINGS_FOLDER } from "../claude/managed-settings.ts";
import { ConfigError } from "../config/config-error.ts";
import { loadChatKey } from "../config/keys.ts";
import { loadConfig } from "../config/load.ts";
import { type Paths, pathsFor } from "../config/paths.ts";
import type { Config } from "../config/schema.ts";
import { visibleText } from "../core/visible-text.ts";
import { dropIn, dropInFile, removeDropIn, writeDropIn } from "../setup/claude.ts";
import { backUp, readRecord, type Situation, type Step, stepsToAdd, stepsToRemove } from "../setup/openclaw.ts";
import { MODEL_REF, PROVIDER, primary, readOpenClawConfig } from "../setup/openclaw-config.ts";
import {
  findOpenClaw,
  type OpenClawProgram,
  openClawAgents,
  openClawConfigFile,
  openClawVersion,
} from "../setup/openclaw-program.ts";
import { lockHolder } from "../store/lock.ts";
import { print } from "./print.ts";
import { runningServer } from "./running-server.ts";
import { addSettings } from "./settings.ts";

export const setupCommand = () =>
  new Command("setup")
    .description("connect OpenClaw, or spare claude a question")
    .addCommand(openClawCommand())
    .addCommand(claudeCommand());

interface OpenClawFlags {
  readonly home?: string;
  readonly openclaw?: string;
  readonly yes?: boolean | undefined;
  readonly dryRun?: boolean | undefined;
  readonly remove?: boolean;
  readonly default?: boolean;
}

function openClawCommand(): Command {
  const command = new Command("openclaw")
    .description("give OpenClaw our provider and our plugin, and allow its workspaces; all else of its stays")
    .option("--openclaw <path>", "the OpenClaw program (default: the one on PATH)")
    .option("--default", "make our model OpenClaw's default")
    .option("--no-default", "leave OpenClaw's default model as it is")
    .option("--dry-run", "show what would change, and change nothing")
    .option("--remove", "take out what this command has put in")
    .option("--yes", "do not ask");
  return addSettings(command).action(
    async ({ home, openclaw: named, yes, dryRun, remove, default: asDefault, ...settings }: OpenClawFlags) => {
      const paths = pathsFor(home ?? process.env.SYNTHESIS_HOME);
      const config = loadConfig(paths, process.env, settings);
      const program = named ?? readRecord(paths)?.program ?? undefined;
      const openclaw = findOpenClaw(program, process.env);
      if (!openclaw) {
        throw new ConfigError(
          `There is no ${program ?? "openclaw on PATH"}. Install OpenClaw (npm install -g openclaw), or say where it ` +
            "is with --openclaw <path>.",
        );
      }
      const [version, configFile, agents] = await Promise.all([
        openClawVersion(openclaw),
        openClawConfigFile(openclaw),
        openClawAgents(openclaw),
      ]);
      print(`OpenClaw ${version ?? "of an unknown version"}: ${openclaw.path}`);
      const onDisk = readOpenClawConfig(configFile);
      const changeRoots: Situation["changeRoots"] = async (change) => {
        if (lockHolder(paths.lock)?.port) await runningServer(paths.home).changeRoots(change);
      };
      const situation: Situation = { openclaw, configFile, onDisk, agents, paths, config, changeRoots };

      if (remove) {
        const steps = stepsToRemove(situation);
        if (await goOn(steps, { yes, dryRun })) await carryOut(steps, situation);
        return;
      }
      const port = portOf(paths, config);
      const former = primary(onDisk.config.agents?.defaults?.model);
      const key = config.apiKey ?? (dryRun && !existsSync(paths.chatKey) ? "" : loadChatKey(paths.chatKey));
      const steps = stepsToAdd(situation, {
        port,
        key,
        asDefault: asDefault ?? (former === undefined || (!yes && !dryRun && (await wantsDefault(former)))),
        program: named ?? null,
      });
      if (!(await goOn(steps, { yes, dryRun }))) return;
      await carryOut(steps, situation);
      warnOfEnvironment(situation);
      if (!(await isUp(port))) {
        print(`No synthesis answers on port ${port}. Start it (\`synthesis serve\`), then run this again for a trial.`);
      } else {
        await prove(openclaw, (agents.find((agent) => agent.isDefault) ?? agents[0])?.id ?? "main");
      }
    },
  );
}

/** The port on which the server of this folder listens, or will. */
function portOf({ lock, home }: Paths, { bridgePort }: Config): number {
  const port = lockHolder(lock)?.port ?? bridgePort;
  if (port !== 0) return port;
  throw new ConfigError(
    `The port in ${home} is 0, any free one: OpenClaw needs one that stays. Set SYNTHESIS_BRIDGE_PORT.`,
  );
}

/** Shows the steps; whether they shall be carried out. */
async function goOn(steps: readonly Step[], { yes, dryRun }: Pick<OpenClawFlags, "yes" | "dryRun">): Promise<boolean> {
  if (steps.length === 0) {
    print("Nothing to change.");
    return !dryRun;
  }
  let where = "";
  for (const step of steps.filter(({ lines }) => lines.length > 0)) {
    if (step.where !== where) print(step.where);
    where = step.where;
    for (const line of step.lines) print(`  ${line}`);
  }
  if (dryRun) return false;
  return yes || ask("Go on?", "Nothing was changed. Say --yes to go on without being asked.");
}

const wantsDefault = (former: string): Promise<boolean> =>
  process.stdin.isTTY
    ? ask(`OpenClaw's default model is ${former}. Make ${MODEL_REF} the default?`, "")
    : Promise.resolve(false);

/** Asks on the terminal; without one nobody can agree. */
async function ask(question: string, refused: string): Promise<boolean> {
  if (process.stdin.isTTY) {
    const lines = createInterface({ input: process.stdin, output: process.stdout });
    const answer = await lines.question(`${visibleText(question)} [y/N] `);
    lines.close();
    if (/^y(es)?$/i.test(answer.trim())) return true;
  }
  if (refused) print(refused);
  return false;
}

async function carryOut(steps: readonly Step[], { configFile, onDisk, paths }: Situation): Promise<void> {
  if (steps.length === 0) return;
  mkdirSync(paths.home, { recursive: true, mode: 0o700 });
  if (steps.some(({ where }) => where === configFile)) {
    for (const file of onDisk.files) print(`Backed up: ${backUp(file, Date.now())}`);
  }
  for (const step of steps) await step.carryOut();
  print("Done.");
}

/** What we wrote into our file does not hold where the environment says otherwise. */
function warnOfEnvironment({ agents }: Situation): void {
  if (!process.env.SYNTHESIS_ALLOWED_ROOTS) return;
  const list = agents.map(({ workspace }) => workspace).join(":");
  print(`SYNTHESIS_ALLOWED_ROOTS is set in the environment and wins over the file: add ${list} to it.`);
}

const health = z.looseObject({ ok: z.boolean(), version: z.string() });
const spoken = z.looseObject({ payloads: z.array(z.looseObject({ text: z.string().nullish() })) });
/** As OpenClaw answers through its gateway, and by itself. */
const turn = z.union([z.looseObject({ result: spoken }).transform(({ result }) => result), spoken]);

/** One turn from OpenClaw through synthesis to claude and back. */
async function prove(openclaw: OpenClawProgram, agent: string): Promise<void> {
  const args = [
    ...["agent", "--agent", agent, "--session-key", `agent:${agent}:synthesis-setup`, "--model", MODEL_REF],
    ...["-m", "Answer with the one word: ready", "--json"],
  ];
  const output = await openclaw.run([...args, "--local"]).catch((error: Error) => {
    // It leaves its state to the gateway while that runs.
    if (error.message.includes("Gateway is running")) return openclaw.run(args);
    throw error;
  });
  const { payloads } = turn.parse(JSON.parse(output));
  const said = payloads.map(({ text }) => text ?? "").join(" ");
  print(`OpenClaw asked ${PROVIDER} for a word, and claude said: ${said}`);
}

async function isUp(port: number): Promise<boolean> {
  try {
    const response = await fetch(`http://127.0.0.1:${port}/health`, { proxy: false });
    return health.safeParse(await response.json()).success;
  } catch {
    // Nobody listens, or something that is not synthesis.
    return false;
  }
}

function claudeCommand(): Command {
  return new Command("claude")
    .description("managed settings that let our channel in, so that claude starts without a question")
    .option("--write", "write them (as root)")
    .option("--remove", "take them away again (as root)")
    .addOption(
      new Option("--folder <folder>", "where managed settings are").default(MANAGED_SETTINGS_FOLDER).hideHelp(),
    )
    .action(({ write, remove, folder }: { write?: boolean; remove?: boolean; folder: string }) => {
      if (remove) {
        print(removeDropIn(folder) ? `Removed ${dropInFile(folder)}.` : `There is no ${dropInFile(folder)}.`);
      } else if (write) {
        print(`Written: ${writeDropIn(folder)}. It holds for claudes that start from now on.`);
      } else {
        print(explain(folder));
      }
    });
}

const explain = (
  folder: string,
) => `Claude Code asks at every start whether it may load a development channel, and synthesis answers for
you. Managed settings spare the question, and half a second. They are for the whole machine, and
need root. \`sudo synthesis setup claude --write\` writes this file, --remove takes it away:

${dropInFile(folder)}
${JSON.stringify(dropIn(folder), null, 2)}

It switches channels on for plugins in the list, here ours and what other managed settings list.
If you use channels of other plugins, add those to the list, or they will no longer be let in.`;
