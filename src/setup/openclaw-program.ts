/** The user's `openclaw` program: where it is, and how it is asked. All we change of its, it changes itself. */
import { z } from "zod";
import { ConfigError } from "../config/config-error.ts";
import { findProgram } from "../core/search-path.ts";

/** The version the tests run. */
export const TESTED_OPENCLAW = "2026.9.6";

/** Its commands take one to five seconds, a turn with a cold claude some more. */
const ANSWER_MS = 120_000;

type Env = Record<string, string | undefined>;

export interface OpenClawProgram {
  readonly path: string;
  /**
   * Runs `openclaw <args>`.
   * @param input what it reads from stdin
   * @returns what it prints on stdout
   * @throws ConfigError with what it says when it fails
   */
  run(args: readonly string[], input?: string): Promise<string>;
}

/** The program at `asked`, or on PATH; null when there is none. */
export function findOpenClaw(asked: string | undefined, env: Env): OpenClawProgram | null {
  const path = findProgram(asked ?? "openclaw", env);
  if (!path) return null;
  return {
    path,
    run: async (args, input) => {
      const child = Bun.spawn([path, ...args], {
        env: { ...env, NO_COLOR: "1" },
        stdin: input === undefined ? "ignore" : new Blob([input]),
        stdout: "pipe",
        stderr: "pipe",
        timeout: ANSWER_MS,
      });
      const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
      if ((await child.exited) === 0) return stdout;
      const said = `${stdout}\n${stderr}`.trim() || "it said nothing";
      throw new ConfigError(`\`openclaw ${args.slice(0, 2).join(" ")}\` failed: ${said}`);
    },
  };
}

const fileAnswer = z.looseObject({ path: z.string() });
const agentsAnswer = z.array(
  z.looseObject({ id: z.string(), workspace: z.string(), isDefault: z.boolean().optional() }),
);
export type OpenClawAgent = z.infer<typeof agentsAnswer>[number];

/** Such as `2026.9.6`; null when it does not say. */
export async function openClawVersion(openclaw: OpenClawProgram): Promise<string | null> {
  return /\d+\.\d+\.\d+/.exec(await openclaw.run(["--version"]))?.[0] ?? null;
}

/** Where its configuration is, whether there is one yet or not. */
export async function openClawConfigFile(openclaw: OpenClawProgram): Promise<string> {
  return answer(fileAnswer, await openclaw.run(["config", "file", "--json"])).path;
}

/** Its agents, each with the folder in which it works. */
export async function openClawAgents(openclaw: OpenClawProgram): Promise<OpenClawAgent[]> {
  return answer(agentsAnswer, await openclaw.run(["agents", "list", "--json"]));
}

function answer<T>(schema: z.ZodType<T>, output: string): T {
  try {
    return schema.parse(JSON.parse(output));
  } catch {
    // Older, or another program altogether; what it printed may be long and is no use.
    throw new ConfigError(
      `This \`openclaw\` does not answer as expected; synthesis is tested with ${TESTED_OPENCLAW}.`,
    );
  }
}
