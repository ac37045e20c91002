/**
 * The named chat keys. Each has its own conversations, and may have its own workspace, roots, tools and limit. Of a key
 * only the digest is kept, in `keys.json`, which the server reads again when it has changed.
 */
import { randomBytes } from "node:crypto";
import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { z } from "zod";
import { digest } from "../core/tokens.ts";
import { ConfigError } from "./config-error.ts";
import { checkWriters } from "./ownership.ts";
import { checkPath } from "./path-problem.ts";
import { type Config, settings } from "./schema.ts";

/** The name becomes the beginning of session keys, so it contains no colon. */
export const KEY_NAME = /^[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?$/;

const namedKey = z.strictObject({
  name: z.string().regex(KEY_NAME),
  digest: z.string(),
  /** Unix ms. */
  createdAt: z.int(),
  workspace: settings.workspace.optional(),
  allowedRoots: settings.allowedRoots.optional(),
  claudeTools: settings.claudeTools.optional(),
  /** How many requests the key may have open at the same time. */
  maxRequests: z.int().min(1).optional(),
});
const keysFile = z.strictObject({ keys: z.array(namedKey) });

export type NamedKey = z.infer<typeof namedKey>;
/** What a key may have of its own. */
export type KeyOptions = Pick<NamedKey, "workspace" | "allowedRoots" | "claudeTools" | "maxRequests">;

/** @throws ConfigError when another user can write the file, or its content is invalid */
export function readKeys(file: string): NamedKey[] {
  if (!existsSync(file)) return [];
  const problem = checkPath(file, "file") ?? checkWriters(file);
  if (problem) throw new ConfigError(`${problem.what} ${problem.advice}`);
  try {
    return keysFile.parse(JSON.parse(readFileSync(file, "utf8"))).keys;
  } catch {
    throw new ConfigError(`${file} is invalid. Remove it, and add the keys again with \`synthesis keys add\`.`);
  }
}

/**
 * @returns the key, which is kept nowhere
 * @throws ConfigError when there is a key of this name
 */
export function addKey(file: string, name: string, options: KeyOptions): string {
  const keys = readKeys(file);
  if (keys.some((one) => one.name === name)) {
    throw new ConfigError(`There is a key ${name} already. Revoke it first, or choose another name.`);
  }
  const key = `sk-synthesis-${name}-${randomBytes(24).toString("base64url")}`;
  writeKeys(file, [...keys, { name, digest: digest(key), createdAt: Date.now(), ...options }]);
  return key;
}

/** @returns false when there is no key of this name */
export function revokeKey(file: string, name: string): boolean {
  const keys = readKeys(file);
  const rest = keys.filter((one) => one.name !== name);
  if (rest.length === keys.length) return false;
  writeKeys(file, rest);
  return true;
}

/** A server that reads the file meanwhile finds either all of the old one or all of the new one. */
function writeKeys(file: string, keys: readonly NamedKey[]): void {
  const next = `${file}.new`;
  writeFileSync(next, `${JSON.stringify({ keys }, null, 2)}\n`, { mode: 0o600 });
  renameSync(next, file);
}

/**
 * The configuration for the requests of a key. The settings of OpenClaw agents hold for the server's own key only: a
 * client names its agent itself, so they could widen what the key allows.
 */
export const configOf = ({ workspace, allowedRoots, claudeTools }: KeyOptions, config: Config): Config => ({
  ...config,
  agents: {},
  workspace: workspace ?? config.workspace,
  allowedRoots: allowedRoots ?? (workspace === undefined ? config.allowedRoots : [workspace]),
  claudeTools: claudeTools ?? config.claudeTools,
});
