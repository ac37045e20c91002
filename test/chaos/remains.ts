/** What is left when a schedule has been played: the right rows, and nothing else. */
import { Database } from "bun:sqlite";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { findOrphans } from "../../src/claude/pool/orphans.ts";
import { control, count, recordOf, type Stage, sessionKey, Wrong } from "./stage.ts";

/** After so many looks a record is taken for complete. */
const LOOKS = 100;

/** One row for each conversation, and its claude session is the one that has all that was said. */
export async function checkRows(stage: Stage): Promise<void> {
  const { conversations, server, state, within, emptied } = stage;
  const database = new Database(join(state, "synthesis.db"), { readonly: true });
  const open = () => database.query("select id, state from turns where state in ('sent', 'running')").all();
  const written = async () => {
    // In tool mode a client has its answer before the turn is over.
    while (open().length > 0) await Bun.sleep(20);
    // The door writes down what has been gathered.
    await (await control(server, state, "")).text();
  };
  await within(written(), "every turn has an end");
  const rows = database.query("select key from sessions").all() as { key: string }[];
  const past = database.query("select count(*) as count from past_sessions").get() as { count: number };
  database.close();
  const talked = conversations.filter(({ said }) => said > 0);
  const keys = (all: string[]) => JSON.stringify(all.toSorted());
  if (keys(rows.map(({ key }) => key)) !== keys(talked.map(({ key }) => `user:${key}`)) || past.count > emptied) {
    throw new Wrong(`the sessions are ${JSON.stringify(rows)} and ${past.count} past ones`);
  }
  for (const conversation of talked) {
    const { key, told } = conversation;
    let recorded: string[] = [];
    // The real claude is a little late with it.
    for (let look = 0; look < LOOKS && recorded.join() !== told.join(); look += 1) {
      if (look > 0) await Bun.sleep(50);
      recorded = await recordOf(stage, conversation);
    }
    if (recorded.join() !== told.join()) throw new Wrong(`claude's record of ${key} has ${recorded}, and not ${told}`);
  }
}

/** Everything ends, and nothing is left. */
export async function endAll(stage: Stage): Promise<void> {
  const { conversations, server, state, schedule, claudes, within } = stage;
  for (const conversation of conversations) {
    if (conversation.said === 0) continue;
    const deleted = control(server, state, `/${sessionKey(conversation)}`, "DELETE");
    const response = await within(deleted, `${conversation.key} is deleted`);
    if (!response.ok) throw new Wrong(`${conversation.key} was not deleted: ${await response.text()}`);
  }
  // Claudes that are started ahead have theirs.
  if (schedule.spares === 0) await within(isAsItWas(stage), "timers and descriptors are as before");
  checkLog(stage);
  const code = await within(server.stop(), "the server ends");
  if (code !== 0) throw new Wrong(`the server ended with ${code}`);
  const running = () => findOrphans(`HOME=${claudes.home.home}`);
  const ended = async () => {
    while (running().length > 0) await Bun.sleep(20);
  };
  await within(ended(), "all processes end").catch((error) => {
    const which = Bun.spawnSync(["ps", "-o", "pid=,ppid=,stat=,etime=,args=", "-p", running().join()]).stdout;
    throw error instanceof Wrong ? new Wrong(`${error.message}:\n${which}`) : error;
  });
  const left = [
    ...readdirSync(join(state, "run")),
    ...(existsSync(join(state, "server.lock.json")) ? ["the lock"] : []),
  ];
  if (left.length > 0) throw new Wrong(`left in the state folder: ${left}`);
}

export function checkLog({ server, mayLog }: Stage): void {
  const errors = server
    .log()
    .split("\n")
    .filter((line) => /"level":"(ERROR|FATAL)"/i.test(line));
  if (errors.length > 0 && !mayLog) throw new Wrong(`logged: ${errors.join("\n")}`);
}

/** Some end a moment later. What may stay is its watch of claude's sessions, and the log of a database in use. */
async function isAsItWas(stage: Stage): Promise<void> {
  for (let left = true; left; ) {
    const { timers, descriptors } = await count(stage);
    left = timers > stage.rested.timers || descriptors > stage.rested.descriptors + 3;
    if (left) await Bun.sleep(100);
  }
}
