/** A corpus of frames on `/bridge`, read with the schemas of both ends. */
import { describe, expect, test } from "bun:test";
import { pluginFrame, readFrame, serverFrame, writeFrame } from "../../src/wire/frames.ts";
import corpus from "./frames.json";

const schemas = { plugin: pluginFrame, server: serverFrame };

describe.each(corpus)("$what, from the $from", ({ from, ok, frame }) => {
  const read = readFrame(schemas[from as keyof typeof schemas], JSON.stringify(frame));
  test(ok ? "is valid" : "is rejected", () => {
    expect("frame" in read).toBe(ok);
  });
  if ("frame" in read) {
    test("is unchanged after writing and reading", () => {
      expect(readFrame(schemas[from as keyof typeof schemas], writeFrame(read.frame))).toEqual(read);
    });
  }
});

test("the problem of a frame is described without its text", () => {
  for (const text of ["secret words", '{"type":"secret words"}', '{"type":"ping","secret words":"x"}']) {
    const read = readFrame(pluginFrame, text);
    expect("problem" in read && read.problem).toBeString();
    expect(JSON.stringify(read)).not.toContain("secret words");
  }
});
