/** `synthesis keys`: adds, lists and revokes named chat keys. A running server notices at once. */
import { delimiter, resolve } from "node:path";
import { Command } from "commander";
import { addKey, KEY_NAME, type KeyOptions, type NamedKey, readKeys, revokeKey } from "../config/chat-keys.ts";
import { expandHome, pathsFor } from "../config/paths.ts";
import { settings } from "../config/schema.ts";
import { prepareStateFolder } from "../config/state-folder.ts";
import { Failure } from "./failure.ts";
import { table, time } from "./format.ts";
import { homeOption } from "./options.ts";
import { print, printJson } from "./print.ts";

interface Options {
  readonly home?: string;
  readonly json?: boolean;
  readonly workspace?: string;
  readonly allowedRoots?: string;
  readonly claudeTools?: string;
  readonly maxRequests?: string;
}

export function keysCommand(): Command {
  const command = new Command("keys").description("add, list and revoke chat keys, each with its own conversations");
  const add = (usage: string, description: string) =>
    command.command(usage).description(description).addOption(homeOption());
  const paths = ({ home }: Options) => pathsFor(home ?? process.env.SYNTHESIS_HOME);

  add("add <name>", "make a key and print it; it is not kept, so it cannot be printed again")
    .option("--workspace <folder>", "the folder in which its conversations work")
    .option(
      "--allowed-roots <folders>",
      "folders below which its requests may choose a workspace, separated as in PATH",
    )
    .option(
      "--claude-tools <tools>",
      "which of Claude's own tools its conversations have, as in SYNTHESIS_CLAUDE_TOOLS",
    )
    .option("--max-requests <number>", "how many requests it may have open at the same time")
    .action((name: string, options: Options) => {
      if (!KEY_NAME.test(name)) {
        throw new Failure(
          `A name has 1 to 32 small letters, digits and hyphens, which ${JSON.stringify(name)} has not.`,
        );
      }
      const home = paths(options);
      prepareStateFolder(home);
      print(addKey(home.keys, name, keyOptions(options)));
    });
  add("list", "list the keys and what each may do")
    .option("--json", "print JSON")
    .action((options: Options) => {
      const keys = readKeys(paths(options).keys);
      if (options.json) printJson(keys.map(({ digest: _, ...key }) => key));
      else print(keys.length === 0 ? "There is only the server's own key." : list(keys));
    });
  add("revoke <name>", "refuse a key from now on; its conversations stay, for a new key of the same name").action(
    (name: string, options: Options) => {
      if (!revokeKey(paths(options).keys, name)) {
        throw new Failure(`There is no key ${name}. \`synthesis keys list\` shows all keys.`);
      }
      print(`${name}: revoked`);
    },
  );
  return command;
}

/** @throws Failure for a value that is not one */
function keyOptions({ workspace, allowedRoots, claudeTools, maxRequests }: Options): KeyOptions {
  const folder = (path: string) => resolve(expandHome(path));
  const tools = settings.claudeTools.safeParse(claudeTools ?? "all");
  if (!tools.success) throw new Failure(`--claude-tools: ${tools.error.issues[0]?.message}`);
  if (maxRequests !== undefined && !/^[1-9]\d{0,5}$/.test(maxRequests)) {
    throw new Failure(`--max-requests: expected a whole number from 1, not ${JSON.stringify(maxRequests)}`);
  }
  return {
    ...(workspace === undefined ? {} : { workspace: folder(workspace) }),
    ...(allowedRoots === undefined ? {} : { allowedRoots: allowedRoots.split(delimiter).filter(Boolean).map(folder) }),
    ...(claudeTools === undefined ? {} : { claudeTools: tools.data }),
    ...(maxRequests === undefined ? {} : { maxRequests: Number(maxRequests) }),
  };
}

const list = (keys: readonly NamedKey[]): string =>
  table(
    ["NAME", "SINCE", "WORKSPACE", "ALLOWED ROOTS", "CLAUDE'S TOOLS", "REQUESTS"],
    keys.map(({ name, createdAt, workspace, allowedRoots, claudeTools, maxRequests }) => [
      name,
      time(createdAt),
      workspace ?? "as configured",
      allowedRoots?.join(delimiter) ?? (workspace === undefined ? "as configured" : "its workspace"),
      claudeTools?.join(" ") ?? "as configured",
      maxRequests === undefined ? "any number" : `at most ${maxRequests}`,
    ]),
  );
