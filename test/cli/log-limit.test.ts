/** The limit of repeated warnings and errors in the log. */
import { expect, test } from "bun:test";
import type { LogRecord } from "@logtape/logtape";
import { limitRepeats } from "../../src/cli/log-limit.ts";

const record = (level: LogRecord["level"], rawMessage: string, properties: object = {}): LogRecord => ({
  category: ["synthesis", "bridge"],
  level,
  timestamp: 0,
  rawMessage,
  message: [rawMessage],
  properties: { ...properties },
});

function limited() {
  const written: LogRecord[] = [];
  return { written, ...limitRepeats((one) => written.push(one)) };
}

test("writes twenty of a thousand equal warnings, and the number of the others", () => {
  const { written, sink, flush } = limited();
  for (let at = 0; at < 1_000; at += 1)
    sink(record("warning", "frame ignored: {problem}", { pid: 7, problem: `${at}` }));
  expect(written).toHaveLength(20);
  flush();
  expect(written.at(-1)).toMatchObject({
    level: "warning",
    properties: { count: 980, like: "frame ignored: {problem}", pid: 7 },
  });
  expect(written).toHaveLength(21);
});

test("counts each process, message and level separately", () => {
  const { written, sink } = limited();
  for (let at = 0; at < 30; at += 1) sink(record("warning", "a", { pid: 1 }));
  sink(record("warning", "a", { pid: 2 }));
  sink(record("warning", "b", { pid: 1 }));
  sink(record("info", "a", { pid: 1 }));
  expect(written).toHaveLength(23);
});

test("writes every message below the level of a warning", () => {
  const { written, sink } = limited();
  for (let at = 0; at < 100; at += 1) sink(record("info", "message sent"));
  for (let at = 0; at < 100; at += 1) sink(record("debug", "hello"));
  expect(written).toHaveLength(200);
});

test("starts to count again after each window", () => {
  const { written, sink, flush } = limited();
  for (let at = 0; at < 20; at += 1) sink(record("error", "a"));
  flush();
  expect(written).toHaveLength(20);
  sink(record("error", "a"));
  expect(written).toHaveLength(21);
});

test("ends a window when its time is over", async () => {
  const noted = Promise.withResolvers<LogRecord>();
  const { sink } = limitRepeats((one) => {
    if (one.properties.count) noted.resolve(one);
  }, 1);
  for (let at = 0; at < 25; at += 1) sink(record("error", "a"));
  expect((await noted.promise).properties.count).toBe(5);
});
