/** Reads OpenClaw's configuration from disk: a JSON5 file that may include other files, which may include more. */
import { chmodSync, copyFileSync, readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";

/** The number of levels that OpenClaw allows. */
const MAX_DEPTH = 10;

export interface ConfigFiles {
  /** The configuration with all included files. */
  readonly merged: unknown;
  /** The file itself and all that it includes. */
  readonly files: readonly string[];
  /** All files are JSON without comments. OpenClaw writes such JSON, and would drop anything else. */
  readonly isPlainJson: boolean;
}

/** @throws an error when one of the files cannot be read or is not valid JSON5 */
export function readConfigFiles(file: string): ConfigFiles {
  const files = new Set<string>();
  let isPlainJson = true;
  const read = (path: string, depth: number): unknown => {
    if (depth > MAX_DEPTH) throw new Error(`${path} is included at too deep a level`);
    files.add(path);
    const text = readFileSync(path, "utf8");
    isPlainJson &&= isJson(text);
    return withIncludes(Bun.JSON5.parse(text), dirname(path), depth);
  };
  const withIncludes = (value: unknown, folder: string, depth: number): unknown => {
    if (!isObject(value)) return value;
    const { $include: names = [], ...own } = value;
    const included = [names].flat().map((name) => read(resolve(folder, String(name)), depth + 1));
    return included.concat(mapValues(own, (one) => withIncludes(one, folder, depth))).reduce(merge);
  };
  return { merged: read(file, 0), files: [...files], isPlainJson };
}

type Json = Record<string, unknown>;
const isObject = (value: unknown): value is Json =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const mapValues = (object: Json, change: (value: unknown) => unknown): Json =>
  Object.fromEntries(Object.entries(object).map(([name, value]) => [name, change(value)]));

/** Where both have a value, the second one wins. */
function merge(first: unknown, second: unknown): unknown {
  if (!isObject(first) || !isObject(second)) return second;
  return {
    ...first,
    ...Object.fromEntries(Object.entries(second).map(([name, value]) => [name, merge(first[name], value)])),
  };
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/**
 * Copies a file to a new file beside it that only its owner can read.
 * @param now in ms
 * @returns the path of the copy
 */
export function backUp(file: string, now: number): string {
  const copy = `${file}.before-synthesis-${new Date(now).toISOString().replace(/[:.]/g, "-")}`;
  copyFileSync(file, copy);
  chmodSync(copy, 0o600);
  return copy;
}
