/** The database of a fleet without nodes, for tests of single statements. */
import { connect, type Postgres } from "../../src/store/postgres/connect.ts";
import { migrateFleet } from "../../src/store/postgres/migrate.ts";
import { startPostgres } from "../support/postgres.ts";

export interface FleetDatabase extends AsyncDisposable {
  /** As the nodes use it. */
  readonly postgres: Postgres;
  /** Runs SQL with psql. @returns the rows, with `|` between the columns */
  rows(sql: string): Promise<string[]>;
}

export async function createDatabase(): Promise<FleetDatabase> {
  const server = await startPostgres();
  const postgres = connect(server.url());
  await migrateFleet(postgres);
  return {
    postgres,
    rows: async (sql) => (await server.query(sql)).trim().split("\n").filter(Boolean),
    [Symbol.asyncDispose]: async () => {
      await postgres.close();
      await server[Symbol.asyncDispose]();
    },
  };
}
