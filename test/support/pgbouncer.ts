/** A PgBouncer in transaction mode for tests: each transaction of a client may run on another connection to Postgres. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { daemonFolder, findProgram, freePort, giveToDaemon, startDaemon } from "./daemon.ts";

export interface TestPgBouncer extends AsyncDisposable {
  readonly port: number;
  /** `postgres://…` of a database behind it. */
  url(database?: string): string;
  freeze(): void;
  thaw(): void;
}

/** @param port of the Postgres on 127.0.0.1 that it stands before */
export async function startPgBouncer({ port: target }: { readonly port: number }): Promise<TestPgBouncer> {
  const folder = daemonFolder("pgbouncer");
  const port = await freePort();
  const users = join(folder.path, "users.txt");
  const config = join(folder.path, "pgbouncer.ini");
  writeFileSync(users, '"postgres" ""\n');
  writeFileSync(
    config,
    `[databases]
* = host=127.0.0.1 port=${target}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = trust
auth_file = ${users}
pool_mode = transaction
# Few connections, so that the transactions of one client do run on different ones.
default_pool_size = 4
# It waits 15 s by default after a connection to Postgres that failed.
server_login_retry = 1
`,
  );
  for (const file of [users, config]) giveToDaemon(file);
  try {
    const daemon = await startDaemon([findProgram("pgbouncer"), config], /process up/);
    return {
      port,
      url: (database = "postgres") => `postgres://postgres@127.0.0.1:${port}/${database}`,
      freeze: daemon.freeze,
      thaw: daemon.thaw,
      [Symbol.asyncDispose]: async () => {
        daemon.thaw();
        await daemon.stop("SIGTERM");
        folder.remove();
      },
    };
  } catch (error) {
    folder.remove();
    throw error;
  }
}
