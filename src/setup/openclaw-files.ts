/** OpenClaw's configuration on the disk: a file in JSON5, which may include others, and these others again. */
import { readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";

/** As many levels as OpenClaw allows. */
const MAX_DEPTH = 10;

export interface ConfigFiles {
  /** What they say together. */
  readonly whole: unknown;
  /** The file itself, and all that it includes. */
  readonly files: readonly string[];
  /** They are JSON and nothing more: OpenClaw, which writes JSON, loses nothing of them. */
  readonly arePlain: boolean;
}

/** Reads a file and all that it includes. Throws what keeps one of them from being read. */
export function readConfigFiles(file: string): ConfigFiles {
  const files = new Set<string>();
  let arePlain = true;
  const read = (path: string, depth: number): unknown => {
    if (depth > MAX_DEPTH) throw new Error(`${path} is included too deep`);
    files.add(path);
    const text = readFileSync(path, "utf8");
    arePlain &&= isJson(text);
    return completed(Bun.JSON5.parse(text), dirname(path), depth);
  };
  const completed = (value: unknown, folder: string, depth: number): unknown => {
    if (!isObject(value)) return value;
    const { $include: names = [], ...own } = value;
    const included = [names].flat().map((name) => read(resolve(folder, String(name)), depth + 1));
    return included.concat(mapped(own, (one) => completed(one, folder, depth))).reduce(merged);
  };
  return { whole: read(file, 0), files: [...files], arePlain };
}

type Json = Record<string, unknown>;
const isObject = (value: unknown): value is Json =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const mapped = (object: Json, change: (value: unknown) => unknown): Json =>
  Object.fromEntries(Object.entries(object).map(([name, value]) => [name, change(value)]));

/** The second wins where both say something. */
function merged(first: unknown, second: unknown): unknown {
  if (!isObject(first) || !isObject(second)) return second;
  return {
    ...first,
    ...Object.fromEntries(Object.entries(second).map(([name, value]) => [name, merged(first[name], value)])),
  };
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    // That is the answer.
    return false;
  }
}
