/**
 * `bun run test:usage` runs 200 turns of every kind on each engine, in three conversations, and compares the sums of usage
 * with what the mock of the API has sent. `--turns N` changes the number of turns, `--engine E` runs only one of them. Where
 * the sums differ, it names the turns and keeps the state and the transcripts.
 */
import { isDeepStrictEqual, parseArgs } from "node:util";
import { ROUND, TallyRun, totalOf } from "./tally-run.ts";

const { values } = parseArgs({
  options: {
    turns: { type: "string", default: "200" },
    engine: { type: "string", multiple: true, default: ["stream", "interactive"] },
    help: { type: "boolean", default: false },
  },
});
if (values.help) {
  console.log(
    "Usage: bun run test:usage [--turns N] [--engine E]\n\n" +
      "  --turns N   how many turns on each engine (default 200)\n" +
      "  --engine E  only this engine: stream or interactive",
  );
  process.exit(0);
}

let isEqual = true;
for (const engine of values.engine) {
  const run = await TallyRun.start(engine);
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
  if (isSame) await run[Symbol.asyncDispose]();
  else {
    await run.stop();
    console.log({ differences: run.differences(), folder: run.folder });
  }
}
process.exit(isEqual ? 0 : 1);
