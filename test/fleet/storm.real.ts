/** Some of the storms that `bun run test:storms` runs by the hundred. */
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { PLANTED } from "./planted.ts";
import { runStorm } from "./storm.ts";

test.concurrent.each([1, 2, 3, 4, 5])(
  "storm %i: what the clients have received is true",
  async (seed) => {
    const { acknowledged } = await runStorm(seed);
    expect(acknowledged).toBeGreaterThan(0);
  },
  180_000,
);

test.each(PLANTED.map(([what, file, code]) => ({ what, file, code })))(
  "$what: its source line exists once",
  (fault) => {
    const source = readFileSync(join(import.meta.dir, "../../src", fault.file), "utf8");
    expect(source.split(fault.code)).toHaveLength(2);
  },
);
