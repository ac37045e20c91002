/** Checks that the state folder can be used, and that other users cannot read it. */
import { existsSync, readFileSync, statSync } from "node:fs";
import { MIN_KEY_LENGTH } from "../config/keys.ts";
import type { Paths } from "../config/paths.ts";
import { checkStateFolder } from "../config/state-folder.ts";
import { type Check, subject } from "./check.ts";

const stateFolder = subject("state_folder", "state folder");

export function stateFolderChecks(paths: Paths): Check[] {
  const problems = checkStateFolder(paths);
  if (problems.length > 0) return problems.map(({ what, advice }) => stateFolder.failed("unusable", what, advice));
  if (!existsSync(paths.home)) return [stateFolder.ok(`${paths.home} (created at the first start)`)];
  return [readableByOthers(paths) ?? emptyKey(paths) ?? stateFolder.ok(paths.home)];
}

function readableByOthers({ home, chatKey, keys, controlKey, metricsKey, nodeKey, database }: Paths): Check | null {
  const open = [home, chatKey, keys, controlKey, metricsKey, nodeKey, database].filter(
    (path) => existsSync(path) && statSync(path).mode & 0o077,
  );
  if (open.length === 0) return null;
  const foreign = open.filter((path) => statSync(path).uid !== process.getuid?.());
  return stateFolder.failed(
    "readable_by_others",
    `other users can read ${open.join(", ")}`,
    foreign.length > 0
      ? `Another user owns ${foreign.join(", ")}. Move it away, or have its owner changed with chown.`
      : `Run \`chmod go= ${open.join(" ")}\`.`,
  );
}

function emptyKey({ chatKey, controlKey, metricsKey }: Paths): Check | null {
  const file = [chatKey, controlKey, metricsKey].find(
    (key) => existsSync(key) && readFileSync(key, "utf8").trim().length < MIN_KEY_LENGTH,
  );
  if (file === undefined) return null;
  return stateFolder.failed(
    "empty_key",
    `${file} contains no key`,
    "Remove the file. The next start creates a new key.",
  );
}
