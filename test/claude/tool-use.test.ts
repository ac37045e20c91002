/** What a person is shown of what claude does, or asks to do. */
import { describe, expect, test } from "bun:test";
import { describeToolUse, spellOutToolUse, toolContent } from "../../src/claude/tool-use.ts";
import { hideSecrets } from "../../src/core/secrets.ts";

const KEY = '-----BEGIN KEY-----\nab"cd\n-----END KEY-----';
const hide = hideSecrets({ DEPLOY_KEY: KEY, MY_TOKEN: "t0ken-t0ken-t0ken", HOME: "/home/me" });

describe("to somebody who is to allow it", () => {
  const ask = (tool: string, input: unknown) => spellOutToolUse(tool, input, hide);
  const cases: [what: string, tool: string, input: unknown, shown: string][] = [
    ["a command", "Bash", { command: "git push", description: "Harmless" }, "Bash: git push"],
    ["a new line, which a shell does not pass over", "Bash", { command: "ls\n  rm -rf ~" }, "Bash: ls ⏎ rm -rf ~"],
    ["padding as what it is", "Bash", { command: `ls${" ".repeat(5000)}; rm -rf ~` }, "Bash: ls ; rm -rf ~"],
    ["what moves a cursor", "Bash", { command: "rm x\r\x1b[2Kls" }, "Bash: rm x⟨U+000D⟩⟨U+001B⟩[2Kls"],
    ["what turns the direction", "Bash", { command: "ls \u202e~ fr- mr" }, "Bash: ls ⟨U+202E⟩~ fr- mr"],
    ["what has no width", "Write", { file_path: "a\u200b.txt" }, "Write: a⟨U+200B⟩.txt"],
    [
      "all of a tool that we do not know",
      "mcp__x__send",
      { note: "hi", to: "all" },
      'mcp__x__send: {"note":"hi","to":"all"}',
    ],
    ["a tool whose field is missing", "Bash", { other: 1 }, 'Bash: {"other":1}'],
    [
      "a command outside the sandbox, before the command",
      "Bash",
      { command: "make", dangerouslyDisableSandbox: true, run_in_background: false },
      "Bash (dangerouslyDisableSandbox: true): make",
    ],
    ["an edit of every occurrence", "Edit", { file_path: "a", replace_all: true }, "Edit (replace_all: true): a"],
    ["the address that is fetched", "WebFetch", { url: "http://x/?q=1", prompt: "p" }, "WebFetch: http://x/?q=1"],
    ["which agent is started", "Agent", { description: "d", subagent_type: "x" }, 'Agent (subagent_type: "x"): d'],
    ["a name that would break the line", "a\nb", {}, "a⟨U+000A⟩b: {}"],
    ["no secret", "Bash", { command: `echo '${KEY}' t0ken-t0ken-t0ken` }, "Bash: echo '[DEPLOY_KEY]' [MY_TOKEN]"],
    ["no secret in a tool we do not know", "mcp__x__y", { k: KEY }, 'mcp__x__y: {"k":"[DEPLOY_KEY]"}'],
  ];
  test.each(cases)("%s", (_what, tool, input, shown) => expect(ask(tool, input)).toBe(shown));

  test("both ends of a long one, and how much is missing", () => {
    const shown = ask("Bash", { command: `echo ${"a".repeat(5000)}; rm -rf ~` });
    expect(shown).toStartWith("Bash: echo aaa");
    expect(shown).toEndWith("aaa; rm -rf ~");
    expect(shown).toContain("[…3515 characters that are not shown…]");
  });
});

describe("the content that somebody is to allow", () => {
  const content = (tool: string, input: unknown) => toolContent(tool, input, hide)?.text ?? null;
  const edit = { file_path: "f", old_string: "a\nb\nc", new_string: "a\nx\ny\nc" };
  const cases: [what: string, tool: string, input: unknown, text: string | null][] = [
    ["is what is written", "Write", { file_path: "f", content: "one\n\ttwo\n" }, "one\n\ttwo\n"],
    ["is empty for an empty file", "Write", { file_path: "f", content: "" }, ""],
    ["is an edit as a diff", "Edit", edit, "  a\n- b\n+ x\n+ y\n  c"],
    ["is a removal", "Edit", { ...edit, new_string: "" }, "- a\n- b\n- c\n+ "],
    [
      "is every one of several edits",
      "MultiEdit",
      { file_path: "f", edits: [edit, { old_string: "q", new_string: "r", replace_all: true }] },
      "  a\n- b\n+ x\n+ y\n  c\n\n(replace_all)\n- q\n+ r",
    ],
    ["is a cell's source", "NotebookEdit", { notebook_path: "f", new_source: "1 + 1" }, "1 + 1"],
    ["is an agent's prompt", "Task", { description: "d", prompt: "Delete it." }, "Delete it."],
    ["is what a page is asked", "WebFetch", { url: "u", prompt: "Sum up." }, "Sum up."],
    [
      "is all of the input where a field has an odd shape",
      "Write",
      { file_path: "f", content: { a: 1 } },
      '{\n  "file_path": "f",\n  "content": {\n    "a": 1\n  }\n}',
    ],
    ["is nothing where the line says it all", "Bash", { command: "ls" }, null],
    ["is nothing for a short input of a tool that we do not know", "mcp__x__y", { a: 1 }, null],
    ["holds no secret", "Write", { file_path: "f", content: `k=${KEY}` }, "k=[DEPLOY_KEY]"],
    [
      "is the command that does not fit on the line",
      "Bash",
      { command: `echo ${"a".repeat(2000)}` },
      `echo ${"a".repeat(2000)}`,
    ],
  ];
  test.each(cases)("%s", (_what, tool, input, text) => expect(content(tool, input)).toBe(text));

  test("is the whole input of a tool that we do not know when it is long", () => {
    const input = { text: "a".repeat(5_000) };
    expect(JSON.parse(content("mcp__x__y", input) ?? "")).toEqual(input);
  });

  test("comes with the size and the hash of what the tool gets", () => {
    const { bytes, sha256 } = toolContent("Write", { file_path: "f", content: "ä\n" }, hide) ?? {};
    expect([bytes, sha256]).toEqual([3, new Bun.CryptoHasher("sha256").update("ä\n").digest("hex").slice(0, 16)]);
  });
});

describe("to somebody who looks on", () => {
  test("a line; a secret that it ends in is not shown in part", () => {
    const shown = describeToolUse("Bash", { command: `${"x".repeat(190)}t0ken-t0ken-t0ken${"y".repeat(20)}` }, hide);
    expect(shown).toBe(`Bash: ${"x".repeat(190)}[MY_TOKEN]…`);
  });

  test("the one text of a tool we do not know, or its name", () => {
    expect(describeToolUse("mcp__x__y", { n: 1, q: "cats" }, hide)).toBe("mcp__x__y: cats");
    expect(describeToolUse("mcp__x__y", { n: 1 }, hide)).toBe("mcp__x__y");
  });
});
