/** Checks what a node of a fleet needs: its database, its membership, the keys of the fleet and its certificate. */
import { existsSync } from "node:fs";
import { sql } from "drizzle-orm";
import { loadChatKey, loadControlKey } from "../config/keys.ts";
import { nodeName } from "../config/node-address.ts";
import type { Paths } from "../config/paths.ts";
import type { Config } from "../config/schema.ts";
import { RequestError } from "../core/errors.ts";
import type { Postgres } from "../store/postgres/connect.ts";
import { type Check, subject } from "./check.ts";

const fleet = subject("fleet");
/** A certificate that ends within this time should be replaced, in ms. */
const RENEW_MS = 30 * 24 * 3_600_000;

/** Changes nothing in the database. */
export async function fleetChecks(paths: Paths, config: Config, database: string): Promise<Check[]> {
  const { connect } = await import("../store/postgres/connect.ts");
  const postgres = connect(database);
  try {
    return await checksIn(postgres, paths, config);
  } catch (error) {
    if (!(error instanceof RequestError)) throw error;
    return [fleet.failed("unreachable", error.message, "Check SYNTHESIS_DATABASE, and that Postgres runs.")];
  } finally {
    await postgres.close();
  }
}

async function checksIn(postgres: Postgres, paths: Paths, config: Config): Promise<Check[]> {
  const { commitRisks } = await import("../store/postgres/durability.ts");
  const risks = await commitRisks(postgres);
  const durability = fleet.warning(
    "commits_at_risk",
    `Postgres may take back what it has acknowledged: ${risks.join(", ")}`,
    "After a crash or a failover two nodes could have the same conversation. Correct its configuration; docs/fleet.md says how.",
  );
  return [await membershipCheck(postgres, paths, config), ...(risks.length > 0 ? [durability] : [])];
}

async function membershipCheck(postgres: Postgres, paths: Paths, config: Config): Promise<Check> {
  const { readMembers, keysDigest } = await import("../fleet/members.ts");
  const { certificateEnd } = await import("../fleet/join.ts");
  const name = nodeName(config);
  const [table] = await postgres.run((database) =>
    database.execute<{ exists: boolean }>(sql`SELECT to_regclass('members') IS NOT NULL AS exists`),
  );
  const members = table?.exists ? await readMembers(postgres) : [];
  const member = members.find((one) => one.name === name);
  if (!member || !existsSync(paths.nodeCertificate)) {
    return fleet.failed(
      "not_a_member",
      `${name} is no member of the fleet`,
      "Run `synthesis nodes join` on this machine.",
    );
  }
  const chatKey = config.apiKey ?? (existsSync(paths.chatKey) ? loadChatKey(paths.chatKey) : "");
  const controlKey = existsSync(paths.controlKey) ? loadControlKey(paths.controlKey) : "";
  if (member.keys !== keysDigest(chatKey, controlKey)) {
    return fleet.failed(
      "other_keys",
      `the keys of this machine are not those with which ${name} has joined`,
      "Copy chat.key, keys.json and control.key from the state folder of another node, and run `synthesis nodes join`.",
    );
  }
  const end = certificateEnd(paths);
  const found = `${name}, one of ${members.length} members; its certificate is valid until ${new Date(end).toISOString().slice(0, 10)}`;
  if (end - Date.now() > RENEW_MS) return fleet.ok(found);
  return fleet.warning("certificate_ends", found, "Replace it with `synthesis nodes join --rotate`.");
}
