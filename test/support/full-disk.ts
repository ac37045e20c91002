/** Preloaded into a server under test: SIGUSR2 makes the disk full for its database, and the next one frees it. */
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
  // SQLite raises the limit to the number of pages that exist.
  store?.query(`PRAGMA max_page_count = ${full ? 1 : 2 ** 30}`).get();
  console.error(`the disk is ${full ? "full" : "free"} now`);
});
