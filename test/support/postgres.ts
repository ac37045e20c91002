/** A private Postgres for tests: in a temporary folder, on a port of 127.0.0.1 and on a Unix socket, without a password. */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { type Daemon, daemonFolder, findProgram, freePort, runOnce, startDaemon } from "./daemon.ts";

const READY = /database system is ready to accept (?:read-only )?connections/;

/** How it ends: `fast` as at a restart of the service; `crash` loses nothing that was committed, but needs recovery. */
type End = "fast" | "crash";

export interface TestPostgres extends AsyncDisposable {
  readonly port: number;
  /** The folder of its Unix socket. */
  readonly socketFolder: string;
  /** The process id of the server process, which changes with a restart. */
  readonly pid: number;
  /** `postgres://…` of a database on 127.0.0.1, by default the one that exists from the start. */
  url(database?: string): string;
  /** The same over the Unix socket. */
  socketUrl(database?: string): string;
  /** Creates an empty database. @returns its url */
  createDatabase(name: string): Promise<string>;
  /** Runs SQL with psql. @returns the rows, one a line, with `|` between the columns */
  query(sql: string, database?: string): Promise<string>;
  /** Backs up a database, which may be in use, with pg_dump. @returns the file */
  backUp(database: string): Promise<string>;
  /** Replaces the database of a back-up, which nothing may use, with pg_restore. */
  restore(backup: string): Promise<void>;
  /** Changes settings of the running server (ALTER SYSTEM), but none that it was started with. */
  configure(settings: Record<string, string>): Promise<void>;
  /** Ends the server. `start` brings it back on the same port with the same data. */
  stop(end?: End): Promise<void>;
  start(): Promise<void>;
  restart(end?: End): Promise<void>;
  /** Stops all its processes by SIGSTOP: connections stay open, and no query gets an answer. */
  freeze(): void;
  thaw(): void;
  /** The log so far. */
  log(): string;
}

/** The folder of the newest installed Postgres: Debian does not put the server's programs into the search path. */
function postgresFolders(): string[] {
  const root = "/usr/lib/postgresql";
  const versions = readdirSync("/usr/lib").includes("postgresql") ? readdirSync(root) : [];
  return versions.toSorted((one, other) => Number(other) - Number(one)).map((version) => join(root, version, "bin"));
}

/** @param settings of postgresql.conf, which override those of the tests */
export async function startPostgres(settings: Record<string, string> = {}): Promise<TestPostgres> {
  return start(settings, (data) => [
    program("initdb"),
    ...["-D", data, "--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"],
  ]);
}

export interface TestStandby extends TestPostgres {
  /** Takes the place of the primary, which must have ended. */
  promote(): Promise<void>;
}

/** A standby that replicates from another Postgres; asynchronously, unless that one names it. */
export async function startStandby(primary: TestPostgres): Promise<TestStandby> {
  const standby = await start({}, (data) => [
    program("pg_basebackup"),
    ...["-D", data, "--dbname", primary.socketUrl(), "--write-recovery-conf", "--checkpoint=fast", "--no-sync"],
  ]);
  const isStreaming = "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'";
  while ((await primary.query(isStreaming)) === "0\n") await Bun.sleep(20);
  return Object.assign(standby, {
    promote: async () => {
      await standby.query("SELECT pg_promote()");
    },
  });
}

const program = (name: string) => findProgram(name, postgresFolders());

/** @param create the command that makes the data folder */
async function start(settings: Record<string, string>, create: (data: string) => string[]): Promise<TestPostgres> {
  const folder = daemonFolder("postgres");
  const data = join(folder.path, "data");
  const port = await freePort();
  const all = {
    // A killed process loses nothing without fsync, only a machine without power does, and tests become much faster.
    fsync: "off",
    listen_addresses: "127.0.0.1",
    port: `${port}`,
    unix_socket_directories: folder.path,
    log_destination: "stderr",
    logging_collector: "off",
    max_connections: "200",
    ...settings,
  };
  const options = Object.entries(all).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
  let daemon: Daemon;
  let log = "";

  const run = async () => {
    daemon = await startDaemon([program("postgres"), "-D", data, ...options], READY);
  };
  const stop = async (end: End = "fast") => {
    await daemon.stop(end === "fast" ? "SIGINT" : "SIGQUIT");
    log += daemon.output();
  };
  const url = (database = "postgres") => `postgres://postgres@127.0.0.1:${port}/${database}`;
  const socketUrl = (database = "postgres") =>
    `postgres://postgres@localhost:${port}/${database}?host=${encodeURIComponent(folder.path)}`;
  const query = (sql: string, database?: string) => psql(socketUrl(database), sql);

  try {
    await runOnce(create(data));
    await run();
  } catch (error) {
    folder.remove();
    throw error;
  }
  return {
    port,
    socketFolder: folder.path,
    get pid() {
      return daemon.pid;
    },
    url,
    socketUrl,
    createDatabase: async (name) => {
      await query(`CREATE DATABASE "${name}"`);
      return url(name);
    },
    query,
    backUp: async (database) => {
      const file = join(folder.path, `${database}.dump`);
      await runOnce([program("pg_dump"), "--format=custom", `--file=${file}`, `--dbname=${socketUrl(database)}`]);
      return file;
    },
    restore: async (backup) => {
      const options = ["--clean", "--create", "--exit-on-error", `--dbname=${socketUrl()}`];
      await runOnce([program("pg_restore"), ...options, backup]);
    },
    configure: async (changed) => {
      const wanted = Object.entries(changed);
      // Not in one command, because ALTER SYSTEM refuses to run in a transaction.
      for (const [name, value] of wanted) await query(`ALTER SYSTEM SET ${name} = '${value}'`);
      await query("SELECT pg_reload_conf()");
      for (const [name, value] of wanted) {
        while ((await query(`SHOW ${name}`)) !== `${value}\n`) await Bun.sleep(20);
      }
    },
    stop,
    start: run,
    restart: async (end) => {
      await stop(end);
      await run();
    },
    freeze: () => daemon.freeze(),
    thaw: () => daemon.thaw(),
    log: () => log + daemon.output(),
    [Symbol.asyncDispose]: async () => {
      // A stopped process takes no signal but SIGKILL and SIGCONT.
      daemon.thaw();
      await daemon.stop("SIGQUIT");
      folder.remove();
    },
  };
}

const psql = (url: string, sql: string): Promise<string> =>
  runOnce([
    program("psql"),
    ...["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1"],
    ...[`--dbname=${url}`, `--command=${sql}`],
  ]);
