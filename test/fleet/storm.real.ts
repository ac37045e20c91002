/** Some of the storms that `bun run test:storms` runs by the hundred. */
import { expect, test } from "bun:test";
import { runStorm } from "./storm.ts";

test.each([1, 2, 3, 4, 5])(
  "storm %i: what the clients were told is true",
  async (seed) => {
    const { acknowledged } = await runStorm(seed);
    expect(acknowledged).toBeGreaterThan(0);
  },
  180_000,
);
