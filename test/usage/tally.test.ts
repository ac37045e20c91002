/** On the real claude, with each engine: the sums of usage are what the API has sent. `bun run test:usage` is the long form. */
import { expect, test } from "bun:test";
import { ROUND, TallyRun, totalOf } from "./tally-run.ts";

test.each(["interactive", "stream"])(
  "the sums equal what the API has sent, with the engine %s",
  async (engine) => {
    await using run = await TallyRun.start(engine);
    // In a terminal Claude Code does not report what compaction uses, so it would prove nothing here.
    const acts = ROUND.filter((act) => engine === "stream" || act !== "full");
    for (const act of acts) await run.take(act, "one");
    const counted = await run.counted();
    const { reported } = run.sent();
    expect(Object.keys(counted)).toHaveLength(2);
    expect(counted).toEqual(reported);
    expect(await run.countedByDay()).toEqual(totalOf(reported));
    expect(await run.costOf("one")).toBeGreaterThan(0);
  },
  120_000,
);
