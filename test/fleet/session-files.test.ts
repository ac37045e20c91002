/** What of the files of a Claude session goes to Postgres, and comes back on another node. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { appendFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createSessionFiles, type FilePiece, type SessionFiles } from "../../src/fleet/session-files.ts";

const SESSION = "0c390de7-b01b-4f3b-868d-3c07f56de363";

let base: string;
let transcript: string;
let files: SessionFiles;

function filesIn(folder: string): SessionFiles {
  const projects = join(folder, "config/projects");
  mkdirSync(join(projects, "-w"), { recursive: true });
  return createSessionFiles(
    { projects, attachments: join(folder, "images") },
    { CLAUDE_CONFIG_DIR: join(folder, "config") },
  );
}

beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), "synthesis-files-"));
  files = filesIn(base);
  transcript = join(base, "config/projects/-w", `${SESSION}.jsonl`);
});
afterEach(() => rmSync(base, { recursive: true }));

/** Takes what is new, as a commit that succeeds does. */
async function take() {
  const changes = await files.changes([SESSION]);
  files.noteStored(changes);
  return changes;
}
const content = (pieces: readonly FilePiece[]) =>
  pieces.map(({ bytes }) => Buffer.from(Bun.zstdDecompressSync(bytes as Uint8Array<ArrayBuffer>)).toString()).join("");

test("only new whole rows are taken", async () => {
  writeFileSync(transcript, "one\ntwo\nthr");
  const first = await take();
  expect([content(first.pieces), first.pieces.map(({ seq }) => seq)]).toEqual(["one\ntwo\n", [0]]);
  expect((await take()).pieces).toEqual([]);
  appendFileSync(transcript, "ee\n");
  const second = await take();
  expect([content(second.pieces), second.pieces.map(({ seq }) => seq), second.rewritten]).toEqual(["three\n", [1], []]);
});

test("what is not committed is taken again", async () => {
  writeFileSync(transcript, "one\n");
  await files.changes([SESSION]);
  expect(content((await take()).pieces)).toBe("one\n");
});

test("a file that was written anew is taken whole, in place of its earlier pieces", async () => {
  writeFileSync(transcript, "one\ntwo\n");
  await take();
  writeFileSync(transcript, "uno\ndue\ntre\n");
  const { pieces, rewritten } = await take();
  expect([content(pieces), pieces.map(({ seq }) => seq)]).toEqual(["uno\ndue\ntre\n", [1]]);
  expect(rewritten.map(({ seq }) => seq)).toEqual([1]);
});

test("subagents and attachments belong to it, and a large file has several pieces", async () => {
  writeFileSync(transcript, `${"x".repeat(1_500_000)}\n`);
  mkdirSync(join(base, "config/projects/-w", SESSION, "subagents"), { recursive: true });
  writeFileSync(join(base, "config/projects/-w", SESSION, "subagents/agent-1.jsonl"), "sub\n");
  mkdirSync(join(base, "images", SESSION), { recursive: true });
  writeFileSync(join(base, "images", SESSION, "a.png"), "picture");
  const { pieces } = await take();
  expect(pieces.map(({ path, seq }) => `${path} ${seq}`)).toEqual([
    `transcript/-w/${SESSION}.jsonl 0`,
    `transcript/-w/${SESSION}.jsonl 1`,
    `transcript/-w/${SESSION}/subagents/agent-1.jsonl 0`,
    `attachment/${SESSION}/a.png 0`,
  ]);
});

test("a link to another file is left out, also in place of the transcript", async () => {
  writeFileSync(join(base, "control.key"), "secret\n");
  symlinkSync(join(base, "control.key"), transcript);
  mkdirSync(join(base, "images", SESSION), { recursive: true });
  symlinkSync(join(base, "control.key"), join(base, "images", SESSION, "a.png"));
  expect((await take()).pieces).toEqual([]);
});

test("another node continues where this one ended", async () => {
  writeFileSync(transcript, "one\n");
  const first = await take();
  const other = mkdtempSync(join(tmpdir(), "synthesis-files-"));
  try {
    const there = filesIn(other);
    const restored = join(other, "config/projects/-w", `${SESSION}.jsonl`);
    writeFileSync(restored, "what an earlier time has left\n");
    await there.restore(SESSION, first.pieces);
    expect(readFileSync(restored, "utf8")).toBe("one\n");
    expect((await there.changes([SESSION])).pieces).toEqual([]);
    appendFileSync(restored, "two\n");
    const { pieces, rewritten } = await there.changes([SESSION]);
    expect([content(pieces), pieces.map(({ seq }) => seq), rewritten]).toEqual(["two\n", [1], []]);
  } finally {
    rmSync(other, { recursive: true });
  }
});

test.each(["transcript/../../x", "transcript//x", "other/x", "transcript", "attachment/./x"])(
  "a piece for %s is not written",
  async (path) => {
    const piece = { claudeSession: SESSION, path, seq: 0, bytes: Bun.zstdCompressSync(Buffer.from("x")) };
    await expect(files.restore(SESSION, [piece])).rejects.toThrow("invalid path");
  },
);

test("a file in many pieces is taken whole once, and then in pieces again", async () => {
  writeFileSync(transcript, "row\n");
  await take();
  let whole = 0;
  for (let row = 0; row < 2_010; row += 1) {
    appendFileSync(transcript, "row\n");
    whole += (await take()).rewritten.length;
  }
  expect(whole).toBe(1);
});
