/** Checks the database more closely than the server does when it starts. */
import { Database } from "bun:sqlite";
import { existsSync } from "node:fs";
import { checkPath } from "../config/path-problem.ts";
import type { Paths } from "../config/paths.ts";
import type { Config } from "../config/schema.ts";
import { checkDatabase, quarantinedDatabases } from "../store/database-check.ts";
import { type StoreFault, storeFault } from "../store/faults.ts";
import { type Check, subject } from "./check.ts";

const database = subject("database");

const STARTS_ANEW = "Every conversation then starts anew; Claude Code keeps its own record of the old ones.";

export function databaseChecks({ home, database: file }: Paths, { keepDays }: Config): Check[] {
  // The check of the state folder reports these problems.
  if (checkPath(home, "folder") ?? checkPath(file, "file")) return [];
  const quarantined = existsSync(home) ? quarantinedDatabases(file) : [];
  return [
    databaseCheck(file, keepDays),
    ...quarantined.map((path) =>
      database.warning(
        "quarantined",
        `a damaged database was moved to ${path}`,
        "Conversations from before start anew; Claude Code keeps its own record of them. Remove the file when you no " +
          "longer need it.",
      ),
    ),
  ];
}

function databaseCheck(file: string, keepDays: number): Check {
  const condition = checkDatabase(file);
  switch (condition.kind) {
    case "absent":
      return database.ok(`${file} (created at the first start)`);
    case "newer":
      return database.failed(
        "newer_version",
        `a newer version of synthesis has changed ${file}`,
        "Start that version, or choose another state folder with --home or SYNTHESIS_HOME.",
      );
    case "damaged":
      return database.failed(
        "damaged",
        `${file} is damaged: ${condition.why}`,
        `Restart synthesis. It moves the file aside and creates a new one. ${STARTS_ANEW}`,
      );
    case "sound":
      return integrityCheck(file, keepDays);
    default:
      return unusable(file, condition);
  }
}

/** Checks every index and every reference between rows, which would take too long at each start. */
function integrityCheck(file: string, keepDays: number): Check {
  try {
    using connection = new Database(file, { readonly: true });
    const { integrity_check } = connection.query("PRAGMA integrity_check(1)").get() as { integrity_check: string };
    if (integrity_check !== "ok") {
      return database.failed(
        "inconsistent",
        `${file} is damaged: ${integrity_check}`,
        `Stop synthesis and move ${file} away. ${STARTS_ANEW}`,
      );
    }
    const orphanedRows = connection.query("PRAGMA foreign_key_check").all().length;
    if (orphanedRows === 0) return database.ok(file);
    return database.warning(
      "orphaned_rows",
      `${file}: ${orphanedRows} turns belong to no conversation`,
      `Another program has changed the database. The turns do no harm, and are deleted after ${keepDays} days.`,
    );
  } catch (error) {
    const fault = storeFault(error);
    if (!fault) throw error;
    return unusable(file, fault);
  }
}

const unusable = (file: string, { what, advice }: StoreFault): Check =>
  database.failed("unusable", `${file}: ${what}`, advice);
