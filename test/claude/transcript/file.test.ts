import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readRows } from "../../../src/claude/transcript/file.ts";
import {
  findPrompt,
  readModelCalls,
  readTurn,
  recordedTurns,
  sentTexts,
} from "../../../src/claude/transcript/reader.ts";

let home: string;
let projects: string;
let transcript: string;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "synthesis-transcript-"));
  projects = join(home, "projects");
  transcript = join(projects, "folder/session.jsonl");
  mkdirSync(join(projects, "folder"), { recursive: true });
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

const prompt = (id: string, text = "hi") => ({
  type: "user",
  promptId: `p-${id}`,
  message: { content: `<channel source="x" message_id="${id}">\n${text}\n</channel>` },
});
const usage = { input_tokens: 1, output_tokens: 2 };
const answer = (id: string, text: string) => ({
  type: "assistant",
  message: { id, content: [{ type: "text", text }], usage },
});
const end = { type: "system", subtype: "turn_duration" };
const result = (bytes: number) => ({
  type: "user",
  message: { content: [{ type: "tool_result", content: "r".repeat(bytes) }] },
});
const write = (path: string, ...rows: object[]) =>
  writeFileSync(path, rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
const fifo = (path: string) => void Bun.spawnSync(["mkfifo", path]);

describe("anything but a regular file below the projects folder is refused", () => {
  const cases: [what: string, plant: () => void][] = [
    ["a FIFO", () => fifo(transcript)],
    ["a folder", () => mkdirSync(transcript)],
    [
      "a link to a file outside",
      () => {
        write(join(home, "outside.jsonl"), prompt("mine"));
        symlinkSync(join(home, "outside.jsonl"), transcript);
      },
    ],
    [
      "a link to a transcript",
      () => {
        write(join(projects, "folder/other.jsonl"), prompt("mine"));
        symlinkSync("other.jsonl", transcript);
      },
    ],
    ["a link to a device", () => symlinkSync("/dev/zero", transcript)],
    [
      "a file in a linked folder",
      () => {
        mkdirSync(join(home, "outside"));
        write(join(home, "outside/session.jsonl"), prompt("mine"));
        rmSync(join(projects, "folder"), { recursive: true });
        symlinkSync(join(home, "outside"), join(projects, "folder"));
      },
    ],
  ];
  test.each(cases)("%s", async (_what, plant) => {
    plant();
    const readings = [
      readTurn(transcript, "mine", 0),
      readModelCalls(transcript, "mine", 0, null, 0),
      findPrompt(transcript, "mine", 0),
      recordedTurns(transcript),
      sentTexts(transcript),
    ];
    for (const reading of readings)
      expect(
        await reading.then(
          () => "read",
          () => "refused",
        ),
      ).toBe("refused");
  });

  test("a missing file is not an error", async () => {
    expect(await readRows(transcript, 0)).toBeNull();
    expect(await recordedTurns(transcript)).toEqual(new Set());
  });
});

test("a message without a channel tag is found by its uuid, and a tool's result or an interruption is none", async () => {
  const content = [{ type: "text", text: "one" }, { type: "image" }, { type: "text", text: "two" }];
  const interruption = { type: "text", text: "[Request interrupted by user]" };
  write(
    transcript,
    { type: "user", uuid: "mine", promptSource: "sdk", message: { role: "user", content } },
    result(10),
    answer("m1", "text"),
    { type: "user", uuid: "other", message: { role: "user", content: [interruption] } },
    end,
  );
  expect([...(await sentTexts(transcript))]).toEqual([["mine", "one\n[image]\ntwo"]]);
  expect((await readTurn(transcript, "mine", 0))?.texts).toEqual(["text"]);
});

describe("a large transcript", () => {
  test("of more than a gigabyte is not read in full", async () => {
    write(transcript, prompt("old"), answer("m0", "before"), end);
    truncateSync(transcript, 1.5 * 1024 ** 3);
    expect(await recordedTurns(transcript)).toEqual(new Set());
    write(transcript, prompt("mine"), answer("m1", "text"), end);
    expect((await readTurn(transcript, "mine", 0))?.texts).toEqual(["text"]);
  });

  test("loses its long tool results and keeps its long prompts and answers", async () => {
    const long = "a".repeat(300_000);
    const rows = [prompt("mine", long), result(200_000), result(9 * 1024 * 1024), answer("m1", long), end];
    write(transcript, ...rows);
    expect((await readTurn(transcript, "mine", 0))?.texts).toEqual([long]);
    expect((await readRows(transcript, 0))?.length).toBeLessThan(700_000);
    expect((await sentTexts(transcript)).get("mine")).toContain(long);
  });

  test("keeps its newest rows when there are too many", async () => {
    const many = Array.from({ length: 40 }, (_, at) => answer(`m${at}`, "b".repeat(1_000_000)));
    write(transcript, prompt("old"), ...many, end, prompt("mine"), answer("last", "new"), end);
    expect((await readTurn(transcript, "mine", 0))?.texts).toEqual(["new"]);
    expect(await recordedTurns(transcript)).toEqual(new Set(["old", "mine"]));
  });

  test("lets the server do other work while it is read", async () => {
    write(transcript, ...Array.from({ length: 20 }, () => result(1_000_000)));
    let turns = 0;
    const count = () => {
      turns += 1;
      if (turns < 5) setImmediate(count);
    };
    setImmediate(count);
    await readRows(transcript, 0);
    expect(turns).toBe(5);
  });

  test("is read correctly when chunks end inside rows and characters", async () => {
    const texts = Array.from({ length: 90 }, (_, at) => "ä€😀".repeat(5_000 + at));
    write(transcript, prompt("mine"), ...texts.map((text, at) => answer(`m${at}`, text)), end);
    expect((await readTurn(transcript, "mine", 0))?.texts).toEqual(texts);
  });
});

test("the calls of a sub-agent are read, and an unreadable file beside them is skipped", async () => {
  write(transcript, prompt("mine"), answer("m1", "text"), end);
  const folder = join(projects, "folder/session/subagents");
  mkdirSync(folder, { recursive: true });
  write(
    join(folder, "agent-a.jsonl"),
    { type: "user", promptId: "p-mine", message: { content: "x" } },
    answer("s", "y"),
  );
  expect((await readTurn(transcript, "mine", 0))?.calls).toHaveLength(2);
  fifo(join(folder, "agent-b.jsonl"));
  expect((await readTurn(transcript, "mine", 0))?.calls).toHaveLength(2);
});
