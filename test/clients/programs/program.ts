/** Runs a command line client in a home and a folder of its own. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readLines } from "../../../src/core/read-lines.ts";
import { CITIES, weatherIn } from "../client.ts";

export interface Folders extends Disposable {
  readonly home: string;
  /** The folder that the client works in. It has a file with the weather in each city, such as `Oslo.txt`. */
  readonly work: string;
}

export function createFolders(): Folders {
  const base = mkdtempSync(join(tmpdir(), "synthesis-client-"));
  const [home, work] = [join(base, "home"), join(base, "work")];
  for (const folder of [home, work]) mkdirSync(folder);
  for (const city of CITIES) writeFileSync(join(work, `${city}.txt`), weatherIn(city));
  return { home, work, [Symbol.dispose]: () => rmSync(base, { recursive: true, force: true }) };
}

export interface Program {
  /** Resolves with the first line of its output that matches; throws when it exits without one. */
  printed(match: RegExp): Promise<string>;
  /** Resolves with its whole output when it exits; throws if it failed. */
  output(): Promise<string>;
  /** Ends it, and waits for the exit. */
  stop(signal: NodeJS.Signals): Promise<void>;
}

/** @param env what is added to `HOME` and `PATH` */
export function startProgram(
  command: readonly string[],
  { home, work }: Folders,
  env: Record<string, string> = {},
): Program {
  const child = Bun.spawn([...command], {
    cwd: work,
    env: { HOME: home, PATH: process.env.PATH ?? "", ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const lines: string[] = [];
  const waiting: { match: RegExp; resolve: (line: string) => void }[] = [];
  const onLine = (line: string) => {
    lines.push(line);
    for (const { match, resolve } of waiting) if (match.test(line)) resolve(line);
  };
  const ended = Promise.all([readLines(child.stdout, onLine), new Response(child.stderr).text(), child.exited]);
  const failure = ([, errors, code]: Awaited<typeof ended>) =>
    new Error(`${command.join(" ")} exited with ${code}:\n${lines.join("\n")}\n${errors}`);
  return {
    printed: async (match) => {
      const printed = lines.find((line) => match.test(line));
      if (printed !== undefined) return printed;
      const { promise, resolve } = Promise.withResolvers<string>();
      waiting.push({ match, resolve });
      return Promise.race([promise, ended.then((end) => Promise.reject(failure(end)))]);
    },
    output: async () => {
      const end = await ended;
      if (end[2] !== 0) throw failure(end);
      return lines.join("\n");
    },
    stop: async (signal) => {
      child.kill(signal);
      await child.exited;
    },
  };
}
