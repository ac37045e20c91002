/** Loaded before a server under test: on SIGUSR2 its database may not grow any more, and on the next it may again. */
import { Database } from "bun:sqlite";

let store: Database | undefined;
const { run } = Database.prototype;
Database.prototype.run = function (this: Database, ...all: Parameters<typeof run>) {
  if (all[0] === "PRAGMA foreign_keys = ON") store = this;
  return run.apply(this, all);
} as typeof run;

let full = false;
process.on("SIGUSR2", () => {
  full = !full;
  // Never less than there are.
  store?.query(`PRAGMA max_page_count = ${full ? 1 : 2 ** 30}`).get();
  console.error(`the disk is ${full ? "full" : "free"} now`);
});
