import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { findTranscript, isTranscriptPath, removeTranscript } from "../../../src/claude/transcript/location.ts";

let home: string;
let projects: string;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "synthesis-test-"));
  projects = join(home, "projects");
  mkdirSync(join(projects, "folder"), { recursive: true });
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

describe("isTranscriptPath", () => {
  const cases: [path: string, isTranscript: boolean][] = [
    ["projects/folder/session.jsonl", true],
    ["projects/new/session.jsonl", true],
    ["projects/session.jsonl", false],
    ["projects/a/b/session.jsonl", false],
    ["projects/folder/../../secret/session.jsonl", false],
    ["projects/folder/settings.json", false],
    ["elsewhere/folder/session.jsonl", false],
    ["projects/folder/nul\0.jsonl", false],
    ["", false],
  ];
  test.each(cases)("of %j is %p", (path, isTranscript) => {
    expect(isTranscriptPath(path === "" ? "" : `${home}/${path}`, projects)).toBe(isTranscript);
  });

  test("compares the real paths of the projects folder", () => {
    symlinkSync(home, `${home}-link`);
    try {
      expect(isTranscriptPath(`${home}-link/projects/folder/session.jsonl`, projects)).toBe(true);
    } finally {
      rmSync(`${home}-link`);
    }
  });
});

describe("a transcript", () => {
  const session = crypto.randomUUID();
  const env = () => ({ CLAUDE_CONFIG_DIR: home });
  const write = (path: string) => {
    mkdirSync(dirname(join(projects, path)), { recursive: true });
    writeFileSync(join(projects, path), "");
    return join(projects, path);
  };

  test("is found in the folder of any workspace", async () => {
    write(`folder/${crypto.randomUUID()}.jsonl`);
    expect(await findTranscript(session, env())).toBeNull();
    const path = write(`-home-me/${session}.jsonl`);

    expect(await findTranscript(session, env())).toBe(path);
  });

  test("is removed together with the records of its sub-agents", async () => {
    const [own, other] = [write(`folder/${session}.jsonl`), write(`folder/${crypto.randomUUID()}.jsonl`)];
    const subagent = write(`folder/${session}/subagents/agent-a.jsonl`);
    await removeTranscript(session, env());

    expect([own, subagent, other].map((path) => existsSync(path))).toEqual([false, false, true]);
  });

  test("does not exist before Claude Code has run once", async () => {
    rmSync(projects, { recursive: true });

    expect(await findTranscript(session, env())).toBeNull();
    await removeTranscript(session, env());
  });
});
