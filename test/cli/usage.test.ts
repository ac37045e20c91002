/** `synthesis usage`, and `GET /v1/usage` whose figures it shows. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import type { UsageReport } from "../../src/wire/usage.ts";
import { controlKey } from "../support/control.ts";
import { PROGRAM } from "../support/server.ts";
import { ask } from "../support/sse.ts";
import { createWorld, type World } from "../support/world.ts";

let world: World;
beforeAll(async () => {
  world = await createWorld({ standIn: true });
  for (const user of ["one", "one", "=two,"]) await say("a secret", { user });
  await say("exit", { user: "one" });
});
afterAll(() => world[Symbol.asyncDispose]());

const say = async (content: string, more: object) =>
  (await world.server.post(ask(content, { ...more, stream: false }))).text();

/** Runs `synthesis usage …`. */
async function usage(...args: string[]) {
  const child = Bun.spawn([...PROGRAM, "usage", ...args], {
    env: { ...world.claude.env, SYNTHESIS_HOME: join(world.claude.base, "state") },
    stdout: "pipe",
    stderr: "pipe",
  });
  const [out, err, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  return { out, err, code };
}

const get = async (query: string) => {
  const response = await fetch(`${world.server.url}/v1/usage${query}`, {
    headers: { authorization: `Bearer ${controlKey(world)}` },
  });
  return { status: response.status, body: (await response.json()) as UsageReport };
};

test("shows the sums as a table that ends with the total", async () => {
  const { out, code } = await usage();
  const [plan, , titles, today, total, , times] = out.trimEnd().split("\n");
  expect(plan).toStartWith("The plan's limits are unknown.");
  expect(titles).toMatch(/^DAY +TURNS +FAILED +CALLS +INPUT +CACHE READ +CACHE WRITE +OUTPUT +COST +FIRST TEXT +95 %$/);
  expect(today).toMatch(/^20\d\d-\d\d-\d\d +4 +1 +\d/);
  expect(total).toMatch(/^total +4 +1 +\d/);
  expect(times).toMatch(/^Times are those of \S+\.$/);
  expect(code).toBe(0);
});

test("shows the sums of each conversation as CSV, in which no cell is a formula", async () => {
  const { out } = await usage("--by", "conversation", "--csv");
  const [titles, ...lines] = out.trimEnd().split("\n");
  expect(titles).toStartWith("conversation,done,failed,interrupted,lost,model_calls,input_tokens,");
  expect(titles).toEndWith(",context_used_percent");
  expect(lines.map((line) => line.split(/,(?=\d)/).slice(0, 3)).toSorted()).toEqual([
    ['"user:=two,"', "1", "0"],
    ["user:one", "2", "1"],
  ]);
});

test("shows that the context of a conversation is unknown before Claude Code has reported it", async () => {
  const { out } = await usage("--by", "conversation");
  expect(out).toMatch(/^CONVERSATION .* CONTEXT$/m);
  expect(out).toMatch(/^user:one .* unknown$/m);
});

test("shows JSON, and the days since a date", async () => {
  const { out } = await usage("--by", "agent", "--since", "2020-02-01", "--json");
  expect(JSON.parse(out)).toMatchObject({
    by: "agent",
    since: new Date("2020-02-01T00:00").getTime(),
    data: [{ name: null, starts_at: null, turns: { done: 3, failed: 1 }, cost_usd: null }],
    total: { turns: { done: 3, failed: 1, interrupted: 0, lost: 0 }, first_text: { turns: 3 } },
  });
  expect((await usage("--since", "2999-01-01")).out).toEndWith("No turns were counted in this time.\n");
});

test("refuses a date, a number of days or a property that makes no sense", async () => {
  for (const args of [
    ["--since", "yesterday"],
    ["--days", "0"],
    ["--by", "weekday"],
    ["--days", "1", "--since", "2026-01-01"],
  ]) {
    const { code, err } = await usage(...args);
    expect([args, code]).toEqual([args, 1]);
    expect(err).not.toContain("at ");
  }
  expect(await get("?since=2026-02-31")).toMatchObject({ status: 400, body: { error: { param: "since" } } });
  expect(await get("?since=2026-02-01&days=2")).toMatchObject({ status: 400, body: { error: { param: "days" } } });
  expect(await get("?month=2")).toMatchObject({ status: 400 });
});

test("sums hours within the days", async () => {
  const { body } = await get("?by=hour&days=2");
  const { body: days } = await get("?by=day&days=2");
  expect(body.total).toEqual(days.total);
  expect(body.data[0]).toMatchObject({ name: expect.stringMatching(/^20\d\d-\d\d-\d\d \d\d:00$/) });
});
