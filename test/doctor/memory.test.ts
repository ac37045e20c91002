/** The memory settings, compared with the machine and with each other. */
import { expect, test } from "bun:test";
import { pathsFor } from "../../src/config/paths.ts";
import { type Config, defaults } from "../../src/config/schema.ts";
import { memoryCheck } from "../../src/doctor/memory.ts";

const check = (settings: Partial<Config>) => memoryCheck({ ...defaults(pathsFor("/state")), ...settings });

test.each<[what: string, settings: Partial<Config>, id: string, advice: RegExp]>([
  ["memory for less than one process", { memoryMb: 64 }, "memory.too_little", /Raise SYNTHESIS_MEMORY_MB/],
  [
    "more memory than the machine has",
    { memoryMb: 2 ** 31 - 1 },
    "memory.exceeds_machine",
    /Lower SYNTHESIS_MEMORY_MB/,
  ],
  [
    "as many spare processes as there may be processes",
    { maxProcesses: 2, spares: 2 },
    "memory.too_many_spares",
    /SYNTHESIS_MAX_PROCESSES/,
  ],
])("warns of %s", (_what, settings, id, advice) => {
  expect(check(settings)).toMatchObject({ id, result: "warning", advice: expect.stringMatching(advice) });
});

test("accepts the defaults", () => {
  expect(check({})).toMatchObject({ id: "memory.ok", result: "ok" });
});
