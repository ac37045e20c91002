import { afterAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  parseStatus,
  StatusLineWatch,
  type StatusReport,
  statusLine,
} from "../../../src/claude/interactive/status-line.ts";

const base = mkdtempSync(join(tmpdir(), "synthesis-status-"));
afterAll(() => rmSync(base, { recursive: true, force: true }));

/** Folders with characters that a shell would not leave alone. */
function folders() {
  const own = join(base, `it's "$HOME" ${crypto.randomUUID()}`);
  const [folder, home, workspace] = ["status", "home", "workspace"].map((name) => join(own, name)) as [
    string,
    string,
    string,
  ];
  for (const path of [folder, join(home, ".claude"), join(workspace, ".claude")]) mkdirSync(path, { recursive: true });
  return {
    folder,
    workspace,
    env: { HOME: home },
    settings: join(home, ".claude/settings.json"),
    workspaceSettings: join(workspace, ".claude/settings.json"),
  };
}

/** Runs the status line as Claude Code does. @returns its output */
function run(setting: object, input: string): string {
  const { command } = setting as { command: string };
  const { stdout, stderr } = Bun.spawnSync(["sh", "-c", command], { stdin: Buffer.from(input) });
  expect(stderr.toString()).toBe("");
  return stdout.toString();
}

const STATUS = JSON.stringify({
  session_id: "s",
  cost: { total_cost_usd: 0.25, total_duration_ms: 5 },
  context_window: { used_percentage: 8, context_window_size: 1_000_000 },
  prompt_cache: { warm: true, hit_ratio: 0.75, misses: 2, last_miss_cause: { causes: ["tools_changed", "ttl"] } },
  rate_limits: {
    five_hour: { used_percentage: 42, resets_at: 1_795_772_268 },
    seven_day: { used_percentage: 91.5, resets_at: 1_796_027_868 },
  },
});

describe("the command", () => {
  test("writes its input to a file that only the user can read, and shows nothing", () => {
    const { folder, workspace, env } = folders();

    expect(run(statusLine(folder, workspace, env), STATUS)).toBe("");

    expect(readdirSync(folder)).toEqual(["figures.json"]);
    expect(readFileSync(join(folder, "figures.json"), "utf8")).toBe(STATUS);
    expect(statSync(join(folder, "figures.json")).mode & 0o777).toBe(0o600);
  });

  test("shows the user's own status line, whose command gets the same input", () => {
    const { folder, workspace, env, settings } = folders();
    const own = {
      type: "command",
      command: "wc -c | tr -d ' '; echo \"it's mine\" # mine",
      padding: 0,
      refreshInterval: 5,
    };
    writeFileSync(settings, JSON.stringify({ statusLine: own }));

    const setting = statusLine(folder, workspace, env);

    expect(setting).toMatchObject({ type: "command", padding: 0, refreshInterval: 5 });
    expect(run(setting, STATUS)).toBe(`${STATUS.length}\nit's mine\n`);
  });

  test("shows the status line of the workspace rather than the user's", () => {
    const { folder, workspace, env, settings, workspaceSettings } = folders();
    writeFileSync(settings, JSON.stringify({ statusLine: { type: "command", command: "echo user" } }));
    writeFileSync(workspaceSettings, JSON.stringify({ statusLine: { type: "command", command: "echo workspace" } }));

    expect(run(statusLine(folder, workspace, env), STATUS)).toBe("workspace\n");
  });
});

describe("the report", () => {
  test("has the windows of the plan and the figures of the session", () => {
    expect(parseStatus(STATUS)).toEqual({
      windows: [
        { name: "five_hour", usedPercent: 42, resetsAt: 1_795_772_268_000 },
        { name: "seven_day", usedPercent: 91.5, resetsAt: 1_796_027_868_000 },
      ],
      figures: {
        contextUsedPercent: 8,
        costUsd: 0.25,
        cacheHitRatio: 0.75,
        cacheMisses: 2,
        lastCacheMissCause: "tools_changed, ttl",
      },
    });
  });

  test("has null, and not zero, for what Claude Code does not say", () => {
    const unknown = {
      contextUsedPercent: null,
      costUsd: null,
      cacheHitRatio: null,
      cacheMisses: null,
      lastCacheMissCause: null,
    };
    const empty = { windows: [], figures: unknown };

    expect(parseStatus("{}")).toEqual(empty);
    expect(
      parseStatus('{"context_window":{"used_percentage":null},"cost":7,"prompt_cache":{"last_miss_cause":null}}'),
    ).toEqual(empty);
    expect(parseStatus('{"rate_limits":{"five_hour":{"used_percentage":"many"},"seven_day":null}}')).toEqual(empty);
  });

  test.each(["", "{", "null", "[]", '"text"', "[".repeat(100_000)])("is nothing for the input %#", (text) => {
    expect(parseStatus(text)).toBeNull();
  });
});

test("reports the file that was written before the watch began", () => {
  const { folder, workspace, env } = folders();
  run(statusLine(folder, workspace, env), STATUS);
  const reports: StatusReport[] = [];
  const watch = new StatusLineWatch(folder, (report) => reports.push(report));

  watch.begin();
  watch.end();

  expect(reports).toMatchObject([{ figures: { costUsd: 0.25 } }]);
});

test("reports each file that the command writes, and the same windows only once", async () => {
  const { folder, workspace, env } = folders();
  const setting = statusLine(folder, workspace, env);
  const reports: StatusReport[] = [];
  let reported = Promise.withResolvers<void>();
  const watch = new StatusLineWatch(folder, (report) => {
    reports.push(report);
    reported.resolve();
  });
  watch.begin();
  const write = async (text: string) => {
    run(setting, text);
    await reported.promise;
    reported = Promise.withResolvers();
  };

  await write(STATUS);
  await write(STATUS.replace("0.25", "0.5"));
  await write(STATUS.replace('"used_percentage":42', '"used_percentage":43'));
  watch.end();

  expect(
    reports.map(({ windows, figures }) => [windows.map(({ usedPercent }) => usedPercent), figures.costUsd]),
  ).toEqual([
    [[42, 91.5], 0.25],
    [[], 0.5],
    [[43, 91.5], 0.25],
  ]);
});
