/** `synthesis nodes`: makes this machine a node of a fleet, lists the nodes, drains and evicts them. */
import { existsSync } from "node:fs";
import { basename } from "node:path";
import { Command } from "commander";
import { closest, distance } from "fastest-levenshtein";
import { loadChatKey, loadControlKey } from "../config/keys.ts";
import { loadConfig } from "../config/load.ts";
import { nodeName, nodeUrl } from "../config/node-address.ts";
import { type Paths, pathsFor } from "../config/paths.ts";
import type { Config } from "../config/schema.ts";
import { prepareStateFolder } from "../config/state-folder.ts";
import { systemClock } from "../core/clock.ts";
import { RequestError } from "../core/errors.ts";
import type { ListedNode } from "../fleet/node-list.ts";
import type { Postgres } from "../store/postgres/connect.ts";
import { confirm } from "./confirm.ts";
import { Failure } from "./failure.ts";
import { table, time } from "./format.ts";
import { homeOption } from "./options.ts";
import { print, printJson } from "./print.ts";

interface Options {
  readonly home?: string;
  readonly json?: boolean;
  readonly url?: string;
  readonly rotate?: boolean;
  readonly undo?: boolean;
  readonly forget?: boolean;
  readonly yes?: boolean;
}

export function nodesCommand(): Command {
  const command = new Command("nodes").description("make this machine a node of a fleet; list, drain and evict nodes");
  const add = (usage: string, description: string) =>
    command.command(usage).description(description).addOption(homeOption());

  add("join", "make this machine a member of the fleet, with a certificate that the other nodes trust")
    .option("--url <url>", "how other nodes reach this one (SYNTHESIS_NODE_URL)")
    .option("--rotate", "replace the certificate while the fleet runs")
    .action(join);
  add("list", "list the nodes, and the members whose server does not run")
    .option("--json", "print JSON")
    .action((options: Options) =>
      inFleet(options, async ({ postgres }) => {
        const { listNodes } = await import("../fleet/node-list.ts");
        const nodes = await listNodes(postgres);
        if (options.json) printJson(nodes);
        else print(nodes.length === 0 ? "The fleet has no members. Run `synthesis nodes join`." : nodeTable(nodes));
      }),
    );
  add("drain <name>", "let a node take no more conversations and release those that are idle, before it is stopped")
    .option("--undo", "let it take conversations again")
    .action((name: string, options: Options) => inFleet(options, (fleet) => drain(fleet, name, options)));
  add("evict <name>", "end the lease of a node that is lost, so that the others take its conversations")
    .option("--forget", "also remove the member, so that no node trusts its certificate")
    .option("-y, --yes", "do not ask")
    .action((name: string, options: Options) => inFleet(options, (fleet) => evict(fleet, name, options)));
  return command;
}

interface Fleet {
  readonly postgres: Postgres;
  readonly config: Config;
  readonly paths: Paths;
}

/**
 * Runs a command on the database of the fleet.
 * @throws Failure when there is no database, or it cannot be used
 */
async function inFleet({ home, url }: Options, run: (fleet: Fleet) => Promise<void>): Promise<void> {
  const paths = pathsFor(home ?? process.env.SYNTHESIS_HOME);
  const config = loadConfig(paths, process.env, url === undefined ? {} : { nodeUrl: url });
  if (config.database === undefined) {
    throw new Failure(
      `SYNTHESIS_DATABASE is not set, and ${paths.configFile} has no database: the server here is no node of a fleet. ` +
        "Set it as for `synthesis serve`.",
    );
  }
  const { connect } = await import("../store/postgres/connect.ts");
  const { migrateFleet } = await import("../store/postgres/migrate.ts");
  const postgres = connect(config.database);
  try {
    await migrateFleet(postgres);
    await run({ postgres, config, paths });
  } catch (error) {
    throw error instanceof RequestError ? new Failure(error.message) : error;
  } finally {
    await postgres.close();
  }
}

async function join(options: Options): Promise<void> {
  await inFleet(options, async ({ postgres, config, paths }) => {
    const { readMembers, keysDigest } = await import("../fleet/members.ts");
    const { joinFleet, rotateCertificate, certificateEnd } = await import("../fleet/join.ts");
    const name = nodeName(config);
    const url = nodeUrl(config);
    const other = (await readMembers(postgres)).find((member) => member.name !== name);
    if (other) requireKeys(paths, config, other.name);
    prepareStateFolder(paths);
    const keys = keysDigest(config.apiKey ?? loadChatKey(paths.chatKey), loadControlKey(paths.controlKey));
    const { leaseMs } = config;
    const joining = { postgres, paths, clock: systemClock, name, url, keys, leaseMs };
    await (options.rotate ? rotateCertificate(joining) : joinFleet(joining));
    const end = time(certificateEnd(paths)).slice(0, 10);
    print(`${name} is a member of the fleet, at ${url}. Its certificate is valid until ${end}.`);
    if (options.url !== undefined && process.env.SYNTHESIS_NODE_URL !== url) {
      print(`Set SYNTHESIS_NODE_URL=${url} for \`synthesis serve\`, too.`);
    }
  });
}

/** A new key would not be the fleet's. @throws Failure when this machine has none yet */
function requireKeys(paths: Paths, config: Config, member: string): void {
  const needed = [...(config.apiKey === undefined ? [paths.chatKey] : []), paths.controlKey];
  const missing = needed.filter((path) => !existsSync(path));
  if (missing.length === 0) return;
  throw new Failure(
    `All nodes have the same keys. Copy ${missing.map((path) => basename(path)).join(" and ")}, and keys.json if there is ` +
      `one, from the state folder of ${member} to ${paths.home}.`,
  );
}

async function drain({ postgres }: Fleet, name: string, { undo = false }: Options): Promise<void> {
  const { listNodes, setDraining } = await import("../fleet/node-list.ts");
  if (!(await setDraining(postgres, name, !undo))) {
    find(await listNodes(postgres), name);
    throw new Failure(`The server of ${name} does not run, so there is nothing to drain.`);
  }
  print(
    undo
      ? `${name}: takes conversations again`
      : `${name}: takes no more conversations; \`synthesis nodes list\` shows how many it still has`,
  );
}

async function evict({ postgres }: Fleet, name: string, { forget, yes }: Options): Promise<void> {
  const { evictNode, listNodes } = await import("../fleet/node-list.ts");
  const { removeMember } = await import("../fleet/members.ts");
  const { state, claims } = find(await listNodes(postgres), name);
  if (state === "down" && !forget) {
    throw new Failure(`The server of ${name} does not run, so it has no lease. Use --forget to remove the member.`);
  }
  const loss = state === "live" || state === "draining" ? " Its server runs; turns that run there are lost." : "";
  const question = `Evict ${name}, which has ${claims} conversations${forget ? ", and forget it" : ""}?${loss}`;
  if (!yes && !(await confirm(question))) {
    throw new Failure("Nothing was changed. Use --yes to continue without a question.");
  }
  // The member goes first: a node that registers again must not find itself trusted.
  if (forget) await removeMember(postgres, name);
  await evictNode(postgres, name);
  print(
    `${name}: evicted${forget ? " and forgotten" : ""}; the other nodes take its conversations with their next messages`,
  );
}

/** @throws Failure when there is no node of this name */
function find(nodes: readonly ListedNode[], name: string): ListedNode {
  const found = nodes.findLast((node) => node.name === name);
  if (found) return found;
  const names = [...new Set(nodes.map((node) => node.name))];
  const nearest = names.length > 0 ? closest(name, names) : "";
  const advice =
    nearest && distance(name, nearest) <= name.length / 3
      ? `Did you mean ${nearest}?`
      : "`synthesis nodes list` shows all nodes.";
  throw new Failure(`There is no node ${name}. ${advice}`);
}

const nodeTable = (nodes: readonly ListedNode[]): string =>
  table(
    ["NODE", "STATE", "LEASE LEFT", "PROCESSES", "WAITING", "CONVERSATIONS", "VERSION", "URL"],
    nodes.map(({ name, state, leaseLeftMs, places, used, waiting, claims, version, url, isMember }) => [
      name,
      isMember ? state : `${state}, no member`,
      leaseLeftMs === null ? "–" : `${Math.ceil(leaseLeftMs / 1000)} s`,
      state === "down" ? "–" : `${used} of ${places}`,
      `${waiting}`,
      `${claims}`,
      version ?? "–",
      url,
    ]),
  );
