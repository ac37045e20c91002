/** Runs the user's `openclaw` program, which is the only one that changes OpenClaw's configuration. */
import { z } from "zod";
import { ConfigError } from "../config/config-error.ts";
import { findProgram } from "../core/search-path.ts";

/** The version with which the tests run. */
export const TESTED_OPENCLAW = "2026.9.6";

/** A command takes one to five seconds, and one that sends a message as long as a new agent process needs. */
const TIMEOUT_MS = 120_000;

type Env = Record<string, string | undefined>;

export interface OpenClawProgram {
  readonly path: string;
  /**
   * Runs `openclaw <args>`.
   * @param input its stdin
   * @returns its stdout
   * @throws ConfigError with its output when it fails
   */
  run(args: readonly string[], input?: string): Promise<string>;
}

/** @param program a path or a name on PATH @returns null when there is no such program */
export function findOpenClaw(program = "openclaw", env: Env): OpenClawProgram | null {
  const path = findProgram(program, env);
  if (!path) return null;
  return {
    path,
    run: async (args, input) => {
      const child = Bun.spawn([path, ...args], {
        env: { ...env, NO_COLOR: "1" },
        stdin: input === undefined ? "ignore" : new Blob([input]),
        stdout: "pipe",
        stderr: "pipe",
        timeout: TIMEOUT_MS,
      });
      const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
      if ((await child.exited) === 0) return stdout;
      const output = `${stdout}\n${stderr}`.trim() || "it printed nothing";
      throw new ConfigError(`\`openclaw ${args.slice(0, 2).join(" ")}\` failed: ${output}`);
    },
  };
}

const configFileOutput = z.looseObject({ path: z.string() });
const agentsOutput = z.array(
  z.looseObject({ id: z.string(), workspace: z.string(), isDefault: z.boolean().optional() }),
);
export type OpenClawAgent = z.infer<typeof agentsOutput>[number];

/** A version such as `2026.9.6`; null when the program prints none. */
export async function openClawVersion(openclaw: OpenClawProgram): Promise<string | null> {
  return /\d+\.\d+\.\d+/.exec(await openclaw.run(["--version"]))?.[0] ?? null;
}

/** The path of OpenClaw's configuration file, which need not exist. */
export async function openClawConfigFile(openclaw: OpenClawProgram): Promise<string> {
  return parseOutput(configFileOutput, await openclaw.run(["config", "file", "--json"])).path;
}

/** OpenClaw's agents, each with its workspace. */
export async function openClawAgents(openclaw: OpenClawProgram): Promise<OpenClawAgent[]> {
  return parseOutput(agentsOutput, await openclaw.run(["agents", "list", "--json"]));
}

function parseOutput<T>(schema: z.ZodType<T>, output: string): T {
  try {
    return schema.parse(JSON.parse(output));
  } catch {
    // An older version, or another program. Its output may be long, and would not help.
    throw new ConfigError(
      `The output of \`openclaw\` is not as expected. Install OpenClaw ${TESTED_OPENCLAW}, with which synthesis is tested.`,
    );
  }
}
