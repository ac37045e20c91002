/** What `GET /metrics` says of a server that has had some turns. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { statSync } from "node:fs";
import { join } from "node:path";
import { controlKey } from "../support/control.ts";
import { createHttpWorld, type HttpWorld } from "../support/http-world.ts";
import { metricsKey, scrape, scrapeUntil, seriesValue } from "../support/metrics.ts";
import { answerText, ask } from "../support/sse.ts";

let world: HttpWorld;
beforeAll(async () => {
  world = await createHttpWorld();
});
afterAll(() => world[Symbol.asyncDispose]());

const send = (key: string, path = "/metrics") => world.request(path, { key });

describe("the metrics key", () => {
  test("opens the metrics, as the control key does", async () => {
    for (const key of [metricsKey(world), controlKey(world)]) {
      const response = await send(key);
      expect([response.status, response.headers.get("content-type")]).toEqual([
        200,
        "text/plain; version=0.0.4; charset=utf-8",
      ]);
    }
    expect((await send(world.server.key)).status).toBe(401);
    expect((await send(`${metricsKey(world)}x`)).status).toBe(401);
  });

  test("opens nothing else", async () => {
    for (const path of ["/v1/models", "/v1/sessions", "/v1/permissions", "/v1/usage", "/v1/config", "/v1/limits"]) {
      expect([path, (await send(metricsKey(world), path)).status]).toEqual([path, 401]);
    }
  });

  test("is in a file that only its owner can read, and in no log", () => {
    expect(statSync(join(world.claude.base, "state/metrics.key")).mode & 0o777).toBe(0o600);
    expect(world.server.log()).not.toContain(metricsKey(world));
  });
});

describe("after some turns", () => {
  const SECRET = "swordfish";

  test("turns are counted by their outcome, agent and model, with their first texts by origin", async () => {
    const before = await scrape(world);
    const agent = { "x-openclaw-agent-id": "ops" };
    for (let at = 0; at < 3; at += 1) {
      await answerText(await world.postJson("/v1/chat/completions", ask(SECRET), agent));
    }
    const ended = seriesValue(before, "synthesis_turns_total") ?? 0;
    const after = await scrapeUntil(world, "synthesis_turns_total", ended + 3);
    const more = (series: string) => (seriesValue(after, series) ?? 0) - (seriesValue(before, series) ?? 0);
    expect(more('synthesis_turns_total{outcome="done"}')).toBe(3);
    expect(more('synthesis_turns_total{agent="ops",model="default"}')).toBe(3);
    expect(more('synthesis_turn_duration_seconds_count{outcome="done"}')).toBe(3);
    expect(more('synthesis_time_to_first_text_seconds_count{origin="cold"}')).toBe(1);
    expect(more('synthesis_time_to_first_text_seconds_count{origin="warm"}')).toBe(2);
    expect(more('synthesis_process_start_duration_seconds_count{kind="new",outcome="ready"}')).toBe(1);
    expect(more('synthesis_hooks_total{event="Stop"}')).toBe(3);
    expect(more('synthesis_frames_total{type="inbound",direction="out"}')).toBe(3);
    expect(seriesValue(after, "synthesis_turns_running")).toBe(0);
    expect(seriesValue(after, 'synthesis_processes{state="ready"}')).toBeGreaterThanOrEqual(1);
  });

  test("what is unknown is absent", async () => {
    const text = await scrape(world);
    for (const name of [
      "synthesis_plan_used_ratio",
      "synthesis_usage_limit_reached",
      "synthesis_plan_reset_timestamp_seconds",
    ]) {
      expect([name, seriesValue(text, name)]).toEqual([name, null]);
    }
  });

  test("each error is counted once, by its code", async () => {
    const codes = ["invalid_api_key", "unknown_url", "method_not_allowed", "model_not_found", "invalid_json"];
    const count = (text: string) =>
      codes.map((code) => seriesValue(text, `synthesis_errors_total{code="${code}"}`) ?? 0);
    const before = count(await scrape(world));
    await send("wrong");
    await send(world.server.key, "/v1/nothing");
    await send(world.server.key, "/v1/chat/completions");
    await (await world.postJson("/v1/chat/completions", ask("hello", { user: "one", model: "gpt-4" }))).text();
    await (await world.postJson("/v1/chat/completions", "{")).text();
    const after = count(await scrape(world));
    expect(after.map((value, at) => value - (before[at] ?? 0))).toEqual([1, 1, 1, 1, 1]);
  });

  test("no metric has a session key or what a person or Claude wrote", async () => {
    const user = "the-key-of-this-chat";
    const answer = await world.say(`${SECRET} again`, user);
    const text = await scrape(world);
    expect(answer.length).toBeGreaterThan(3);
    for (const hidden of [user, SECRET, answer, world.claude.base]) expect(text).not.toContain(hidden);
  });
});
