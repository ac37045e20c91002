/** The checks after a schedule has run: the database has the right rows, and nothing else is left behind. */
import { Database } from "bun:sqlite";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { findMarked } from "../../src/claude/process-mark.ts";
import { type ChaosWorld, control, count, recordOf, sessionKey, Violation } from "./world.ts";

/** How often a transcript is read again before its content counts as final. */
const MAX_READS = 100;

/** Checks that each conversation has one row, and that its Claude session holds every delivered message. */
export async function checkRows(world: ChaosWorld): Promise<void> {
  const { conversations, server, state, within, lostSessions } = world;
  const database = new Database(join(state, "synthesis.db"), { readonly: true });
  const open = () => database.query("select id, state from turns where state in ('sent', 'running')").all();
  const written = async () => {
    // In tool mode a client has its answer before the turn ends.
    while (open().length > 0) await Bun.sleep(20);
    // This route flushes the rows that the server has buffered.
    await (await control(server, state, "")).text();
  };
  await within(written(), "every turn ends");
  const rows = database.query("select key from sessions").all() as { key: string }[];
  const past = database.query("select count(*) as count from past_sessions").get() as { count: number };
  database.close();
  const used = conversations.filter(({ sent }) => sent > 0);
  const keys = (all: string[]) => JSON.stringify(all.toSorted());
  if (keys(rows.map(({ key }) => key)) !== keys(used.map(({ key }) => `user:${key}`)) || past.count > lostSessions) {
    throw new Violation(`the sessions are ${JSON.stringify(rows)} and ${past.count} past ones`);
  }
  for (const conversation of used) {
    const { key, delivered } = conversation;
    let recorded: string[] = [];
    // The real claude writes its transcript a little later.
    for (let reads = 0; reads < MAX_READS && recorded.join() !== delivered.join(); reads += 1) {
      if (reads > 0) await Bun.sleep(50);
      recorded = await recordOf(world, conversation);
    }
    if (recorded.join() !== delivered.join())
      throw new Violation(`the transcript of ${key} has ${recorded} instead of ${delivered}`);
  }
}

/** Deletes the conversations, stops the server, and checks that no process, file, timer or descriptor is left. */
export async function checkShutdown(world: ChaosWorld): Promise<void> {
  const { conversations, server, state, schedule, claudes, within } = world;
  for (const conversation of conversations) {
    if (conversation.sent === 0) continue;
    const deleted = control(server, state, `/${sessionKey(conversation)}`, "DELETE");
    const response = await within(deleted, `${conversation.key} is deleted`);
    if (!response.ok) throw new Violation(`${conversation.key} was not deleted: ${await response.text()}`);
  }
  // A prewarmed process has timers and descriptors of its own.
  if (schedule.spares === 0) await within(waitForBaseline(world), "timers and descriptors return to the baseline");
  checkLog(world);
  const code = await within(server.stop(), "the server ends");
  if (code !== 0) throw new Violation(`the server exited with ${code}`);
  const running = () => findMarked(`HOME=${claudes.home.home}`);
  const ended = async () => {
    while (running().length > 0) await Bun.sleep(20);
  };
  await within(ended(), "all processes end").catch((error) => {
    const which = Bun.spawnSync(["ps", "-o", "pid=,ppid=,stat=,etime=,args=", "-p", running().join()]).stdout;
    throw error instanceof Violation ? new Violation(`${error.message}:\n${which}`) : error;
  });
  const left = [
    ...readdirSync(join(state, "run")),
    ...(existsSync(join(state, "server.lock.json")) ? ["server.lock.json"] : []),
  ];
  if (left.length > 0) throw new Violation(`left in the state folder: ${left}`);
}

export function checkLog({ server, expectsErrors }: ChaosWorld): void {
  const errors = server
    .log()
    .split("\n")
    .filter((line) => /"level":"(ERROR|FATAL)"/i.test(line));
  if (errors.length > 0 && !expectsErrors) throw new Violation(`the server logged errors: ${errors.join("\n")}`);
}

/**
 * Waits until the server has no more timers and descriptors than at its start. Three descriptors may stay: the watch on
 * Claude's session folder, and the write-ahead log of a database in use.
 */
async function waitForBaseline(world: ChaosWorld): Promise<void> {
  for (let left = true; left; ) {
    const { timers, descriptors } = await count(world);
    left = timers > world.baseline.timers || descriptors > world.baseline.descriptors + 3;
    if (left) await Bun.sleep(100);
  }
}
