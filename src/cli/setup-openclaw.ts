/** `synthesis setup openclaw`: shows what would change in OpenClaw, asks, changes it, and tries it out. */
import { existsSync, mkdirSync } from "node:fs";
import { Command } from "commander";
import { ConfigError } from "../config/config-error.ts";
import { loadChatKey } from "../config/keys.ts";
import { loadConfig } from "../config/load.ts";
import { type Paths, pathsFor } from "../config/paths.ts";
import type { Config } from "../config/schema.ts";
import { localBaseUrl, MODEL_REF, PROVIDER, primaryModel, readOpenClawConfig } from "../setup/openclaw-config.ts";
import { backUp } from "../setup/openclaw-files.ts";
import {
  findOpenClaw,
  type OpenClawProgram,
  openClawAgents,
  openClawConfigFile,
  openClawVersion,
} from "../setup/openclaw-program.ts";
import { readRecord } from "../setup/openclaw-record.ts";
import { type Situation, type Step, stepsToAdd, stepsToRemove } from "../setup/openclaw-steps.ts";
import { askThroughOpenClaw, isSynthesisRunning } from "../setup/openclaw-trial.ts";
import { lockHolder } from "../store/lock.ts";
import { confirm } from "./confirm.ts";
import { addSettings } from "./options.ts";
import { print } from "./print.ts";
import { runningServer } from "./running-server.ts";

interface Options {
  readonly home?: string;
  readonly openclaw?: string;
  readonly baseUrl?: string;
  readonly yes?: boolean;
  readonly dryRun?: boolean;
  readonly remove?: boolean;
  readonly default?: boolean;
}

export function setupOpenClawCommand(): Command {
  const command = new Command("openclaw")
    .description("add our provider and plugin to OpenClaw, and allow its workspaces; nothing else changes")
    .option("--openclaw <path>", "the OpenClaw program (default: the one on PATH)")
    .option(
      "--base-url <url>",
      "where OpenClaw reaches this server, if it runs elsewhere: http://host.docker.internal:8080/v1; `local` undoes it",
    )
    .option("--default", "make our model OpenClaw's default")
    .option("--no-default", "leave OpenClaw's default model as it is")
    .option("--dry-run", "show what would change, and change nothing")
    .option("--remove", "undo what this command has changed")
    .option("--yes", "do not ask");
  return addSettings(command).action(
    async ({ home, openclaw: programPath, baseUrl, yes, dryRun, remove, default: asDefault, ...flags }: Options) => {
      const paths = pathsFor(home ?? process.env.SYNTHESIS_HOME);
      const options = { programPath, baseUrl, yes, dryRun, asDefault };
      const situation = await examine(paths, loadConfig(paths, process.env, flags), programPath);
      await (remove ? removeSetup(situation, options) : addSetup(situation, options));
    },
  );
}

interface SetupOptions {
  readonly programPath: string | undefined;
  readonly baseUrl: string | undefined;
  readonly yes: boolean | undefined;
  readonly dryRun: boolean | undefined;
  readonly asDefault: boolean | undefined;
}

/** Finds OpenClaw and reads its configuration. */
async function examine(paths: Paths, config: Config, programPath: string | undefined): Promise<Situation> {
  const openclaw = requireOpenClaw(programPath ?? readRecord(paths)?.program ?? undefined);
  const [version, configFile, agents] = await Promise.all([
    openClawVersion(openclaw),
    openClawConfigFile(openclaw),
    openClawAgents(openclaw),
  ]);
  print(`OpenClaw ${version ?? "of unknown version"}: ${openclaw.path}`);
  return {
    openclaw,
    configFile,
    onDisk: readOpenClawConfig(configFile),
    agents,
    paths,
    config,
    changeRoots: async (change) => {
      if (lockHolder(paths.lock)?.port) await runningServer(paths.home).changeRoots(change);
    },
  };
}

function requireOpenClaw(program: string | undefined): OpenClawProgram {
  const openclaw = findOpenClaw(program, process.env);
  if (openclaw) return openclaw;
  throw new ConfigError(
    `${program === undefined ? "There is no openclaw on PATH" : `There is no program ${program}`}. Install OpenClaw ` +
      "(npm install -g openclaw), or give its path with --openclaw <path>.",
  );
}

async function addSetup(
  situation: Situation,
  { programPath, baseUrl: given, yes, dryRun, asDefault }: SetupOptions,
): Promise<void> {
  const { openclaw, onDisk, agents, paths, config } = situation;
  const givenBaseUrl = given === undefined ? (readRecord(paths)?.baseUrl ?? null) : readBaseUrl(given);
  const baseUrl = givenBaseUrl ?? localBaseUrl(serverPort(paths, config));
  const currentModel = primaryModel(onDisk.config.agents?.defaults?.model);
  const steps = stepsToAdd(situation, {
    baseUrl,
    isElsewhere: givenBaseUrl !== null,
    // A dry run creates no key.
    key: config.apiKey ?? (dryRun && !existsSync(paths.chatKey) ? "" : loadChatKey(paths.chatKey)),
    asDefault: asDefault ?? (currentModel === undefined || (!yes && !dryRun && (await wantsDefault(currentModel)))),
    program: programPath ?? null,
  });
  if (!(await isAgreed(steps, yes, dryRun))) return;
  await carryOut(steps, situation);
  warnOfEnvironment(situation);
  if (!(await isSynthesisRunning(baseUrl))) {
    print(
      givenBaseUrl === null
        ? `No synthesis answers at ${baseUrl}. Start it with \`synthesis serve\`, and run this command again to try it.`
        : `From here no synthesis answers at ${baseUrl}. Send a message in OpenClaw to try it. ${LISTEN_ADVICE}`,
    );
    return;
  }
  const agent = (agents.find(({ isDefault }) => isDefault) ?? agents[0])?.id ?? "main";
  print(`OpenClaw sent a message to ${PROVIDER}, and Claude answered: ${await askThroughOpenClaw(openclaw, agent)}`);
}

async function removeSetup(situation: Situation, { yes, dryRun }: SetupOptions): Promise<void> {
  const steps = stepsToRemove(situation);
  if (await isAgreed(steps, yes, dryRun)) await carryOut(steps, situation);
}

const LISTEN_ADVICE = "The server must listen there (SYNTHESIS_LISTEN), and a name must be in SYNTHESIS_ALLOWED_HOSTS.";

/**
 * @returns null for `local`
 * @throws ConfigError for a text that is no URL of a server
 */
function readBaseUrl(given: string): string | null {
  if (given === "local") return null;
  const url = URL.canParse(given) ? new URL(given) : null;
  if (url === null || !/^https?:$/.test(url.protocol) || url.username !== "" || url.search !== "" || url.hash !== "") {
    throw new ConfigError("--base-url must be an http or https URL such as http://host.docker.internal:8080/v1.");
  }
  // OpenClaw appends the paths of the API, which begin after /v1.
  const path = url.pathname.replace(/\/+$/, "");
  return `${url.origin}${path === "" ? "/v1" : path}`;
}

/** The port on which the server of this state folder listens, or will listen. */
function serverPort({ lock, home }: Paths, { bridgePort }: Config): number {
  const port = lockHolder(lock)?.port ?? bridgePort;
  if (port !== 0) return port;
  throw new ConfigError(
    `The port in ${home} is 0, so that the server takes any free port. OpenClaw needs a fixed one. Set ` +
      "SYNTHESIS_BRIDGE_PORT.",
  );
}

const wantsDefault = (currentModel: string): Promise<boolean> =>
  confirm(`OpenClaw's default model is ${currentModel}. Make ${MODEL_REF} the default?`);

/** Prints the steps, and asks whether to take them. */
async function isAgreed(
  steps: readonly Step[],
  yes: boolean | undefined,
  dryRun: boolean | undefined,
): Promise<boolean> {
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
  if (yes || (await confirm("Continue?"))) return true;
  print("Nothing was changed. Use --yes to continue without a question.");
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

/** The environment wins over the configuration file, to which the allowed roots were added. */
function warnOfEnvironment({ agents }: Situation): void {
  if (!process.env.SYNTHESIS_ALLOWED_ROOTS) return;
  const list = agents.map(({ workspace }) => workspace).join(":");
  print(`SYNTHESIS_ALLOWED_ROOTS is set in the environment and wins over the file. Add ${list} to it.`);
}
