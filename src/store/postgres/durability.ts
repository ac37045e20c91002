/** Whether Postgres keeps what it has acknowledged. The nodes of a fleet rely on it: an epoch must never be given out twice. */
import { sql } from "drizzle-orm";
import type { Postgres } from "./connect.ts";

/**
 * What in Postgres's configuration lets a crash or a failover take back a commit, as phrases.
 * @throws RequestError (`database_unavailable`)
 */
export async function commitRisks(postgres: Postgres): Promise<readonly string[]> {
  const [row] = await postgres.run((database) =>
    database.execute<{ fsync: string; commit: string; names: string; standbys: string }>(sql`SELECT
      current_setting('fsync') AS fsync,
      current_setting('synchronous_commit') AS commit,
      current_setting('synchronous_standby_names') AS names,
      (SELECT count(*) FROM pg_stat_replication) AS standbys`),
  );
  if (!row) return [];
  const standbys = Number(row.standbys);
  return [
    ...(row.fsync === "off" ? ["fsync is off"] : []),
    ...(row.commit === "off" || (row.commit === "local" && standbys > 0)
      ? [`synchronous_commit is ${row.commit}`]
      : []),
    ...(standbys > 0 && row.names === "" ? ["it has a standby, and synchronous_standby_names is empty"] : []),
  ];
}
