/**
 * `bun run test:usage` runs 200 turns of every kind on each engine, in three conversations, and compares the sums of usage
 * with what the mock of the API has sent. `--turns N` changes the number of turns.
 */
import { isDeepStrictEqual, parseArgs } from "node:util";
import { ROUND, TallyRun, totalOf } from "./tally-run.ts";

const { values } = parseArgs({
  options: { turns: { type: "string", default: "200" }, help: { type: "boolean", default: false } },
});
if (values.help) {
  console.log("Usage: bun run test:usage [--turns N]\n\n  --turns N  how many turns on each engine (default 200)");
  process.exit(0);
}

let isEqual = true;
for (const engine of ["stream", "interactive"]) {
  await using run = await TallyRun.start(engine);
  const users = ["one", "two", "three"];
  let turns = 0;
  while (turns < Number(values.turns)) {
    await Promise.all(users.map((user) => run.take("bash", user)));
    for (const act of ROUND) await run.take(act, users[turns % users.length] ?? "one");
    turns += users.length + ROUND.length;
    console.log(`${engine}: ${turns} turns`);
  }
  const counted = await run.counted();
  const { reported, unreported } = run.sent();
  const isSame = isDeepStrictEqual(counted, reported) && isDeepStrictEqual(await run.countedByDay(), totalOf(reported));
  isEqual &&= isSame;
  console.log(isSame ? "The sums are equal." : "The sums differ.", { counted, reported, unreported });
}
process.exit(isEqual ? 0 : 1);
