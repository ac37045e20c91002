import { expect, test } from "bun:test";
import { ResponseStream } from "../../src/turn/response-stream.ts";
import { seriesValue } from "../support/metrics.ts";
import { quietMetrics } from "./series.ts";

test("a client cannot add any number of series by naming agents and models", async () => {
  const { registry, endTurn } = quietMetrics();
  for (let at = 0; at < 50; at += 1) {
    const response = new ResponseStream();
    response.push({ type: "text", text: "hello" });
    endTurn({ agent: `agent-${at}`, model: `claude-${at}`, outcome: "done", ms: 10, response });
  }
  const text = await registry.metrics();
  const values = (label: string) =>
    new Set([...text.matchAll(new RegExp(`${label}="([^"]*)"`, "g"))].map(([, v]) => v));
  expect(values("agent").size).toBe(21);
  expect(values("model").size).toBe(13);
  expect(seriesValue(text, 'synthesis_turns_total{agent="other"}')).toBe(30);
});

test("a request whose message was never sent is no turn", async () => {
  const { registry, endTurn } = quietMetrics();
  endTurn({ agent: null, model: null, outcome: "failed", ms: null, response: new ResponseStream() });
  expect(seriesValue(await registry.metrics(), "synthesis_turns_total")).toBeNull();
});

test("an answer without text has no time to its first text", async () => {
  const { registry, endTurn } = quietMetrics();
  endTurn({ agent: null, model: null, outcome: "done", ms: 10, response: new ResponseStream() });
  const text = await registry.metrics();
  expect(seriesValue(text, "synthesis_turns_total")).toBe(1);
  expect(seriesValue(text, "synthesis_time_to_first_text_seconds_count")).toBeNull();
});

test("a login whose state is unknown has no value", async () => {
  expect(seriesValue(await quietMetrics().registry.metrics(), "synthesis_login_ok")).toBeNull();
});
