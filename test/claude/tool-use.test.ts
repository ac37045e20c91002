import { describe, expect, test } from "bun:test";
import { describeToolUse, spellOutToolUse, toolContent } from "../../src/claude/tool-use.ts";
import { hideSecrets } from "../../src/core/secrets.ts";

const KEY = '-----BEGIN KEY-----\nab"cd\n-----END KEY-----';
const hide = hideSecrets({ DEPLOY_KEY: KEY, MY_TOKEN: "t0ken-t0ken-t0ken", HOME: "/home/me" });

describe("the line of a permission prompt", () => {
  const ask = (tool: string, input: unknown) => spellOutToolUse(tool, input, hide);
  const cases: [what: string, tool: string, input: unknown, shown: string][] = [
    ["shows the command", "Bash", { command: "git push", description: "Harmless" }, "Bash: git push"],
    ["marks line ends, which matter to a shell", "Bash", { command: "ls\n  rm -rf ~" }, "Bash: ls ⏎ rm -rf ~"],
    ["collapses padding", "Bash", { command: `ls${" ".repeat(5000)}; rm -rf ~` }, "Bash: ls ; rm -rf ~"],
    [
      "shows characters that move the cursor",
      "Bash",
      { command: "rm x\r\x1b[2Kls" },
      "Bash: rm x⟨U+000D⟩⟨U+001B⟩[2Kls",
    ],
    [
      "shows characters that change the direction of writing",
      "Bash",
      { command: "ls \u202e~ fr- mr" },
      "Bash: ls ⟨U+202E⟩~ fr- mr",
    ],
    ["shows characters without width", "Write", { file_path: "a\u200b.txt" }, "Write: a⟨U+200B⟩.txt"],
    [
      "shows the whole input of an unknown tool",
      "mcp__x__send",
      { note: "hi", to: "all" },
      'mcp__x__send: {"note":"hi","to":"all"}',
    ],
    ["shows the whole input when the main field is missing", "Bash", { other: 1 }, 'Bash: {"other":1}'],
    [
      "shows before the command that it runs outside the sandbox",
      "Bash",
      { command: "make", dangerouslyDisableSandbox: true, run_in_background: false },
      "Bash (dangerouslyDisableSandbox: true): make",
    ],
    [
      "shows that an edit replaces every occurrence",
      "Edit",
      { file_path: "a", replace_all: true },
      "Edit (replace_all: true): a",
    ],
    ["shows the address that is fetched", "WebFetch", { url: "http://x/?q=1", prompt: "p" }, "WebFetch: http://x/?q=1"],
    [
      "shows which agent is started",
      "Agent",
      { description: "d", subagent_type: "x" },
      'Agent (subagent_type: "x"): d',
    ],
    ["keeps a tool name on the line", "a\nb", {}, "a⟨U+000A⟩b: {}"],
    ["hides secrets", "Bash", { command: `echo '${KEY}' t0ken-t0ken-t0ken` }, "Bash: echo '[DEPLOY_KEY]' [MY_TOKEN]"],
    ["hides secrets in the input of an unknown tool", "mcp__x__y", { k: KEY }, 'mcp__x__y: {"k":"[DEPLOY_KEY]"}'],
  ];
  test.each(cases)("%s", (_what, tool, input, shown) => expect(ask(tool, input)).toBe(shown));

  test("shows both ends of a long command, and how much is left out", () => {
    const shown = ask("Bash", { command: `echo ${"a".repeat(5000)}; rm -rf ~` });
    expect(shown).toStartWith("Bash: echo aaa");
    expect(shown).toEndWith("aaa; rm -rf ~");
    expect(shown).toContain("[…3515 characters that are not shown…]");
  });
});

describe("the content of a permission prompt", () => {
  const content = (tool: string, input: unknown) => toolContent(tool, input, hide)?.text ?? null;
  const edit = { file_path: "f", old_string: "a\nb\nc", new_string: "a\nx\ny\nc" };
  const cases: [what: string, tool: string, input: unknown, text: string | null][] = [
    ["is the text that is written", "Write", { file_path: "f", content: "one\n\ttwo\n" }, "one\n\ttwo\n"],
    ["is empty for an empty file", "Write", { file_path: "f", content: "" }, ""],
    ["is an edit as a diff", "Edit", edit, "  a\n- b\n+ x\n+ y\n  c"],
    ["is a removal", "Edit", { ...edit, new_string: "" }, "- a\n- b\n- c\n+ "],
    [
      "is all of several edits",
      "MultiEdit",
      { file_path: "f", edits: [edit, { old_string: "q", new_string: "r", replace_all: true }] },
      "  a\n- b\n+ x\n+ y\n  c\n\n(replace_all)\n- q\n+ r",
    ],
    ["is a cell's source", "NotebookEdit", { notebook_path: "f", new_source: "1 + 1" }, "1 + 1"],
    ["is an agent's prompt", "Task", { description: "d", prompt: "Delete it." }, "Delete it."],
    ["is the question about a page", "WebFetch", { url: "u", prompt: "Sum up." }, "Sum up."],
    [
      "is the whole input when a field has an unexpected type",
      "Write",
      { file_path: "f", content: { a: 1 } },
      '{\n  "file_path": "f",\n  "content": {\n    "a": 1\n  }\n}',
    ],
    ["is empty when the line is complete", "Bash", { command: "ls" }, null],
    ["is empty for a short input of an unknown tool", "mcp__x__y", { a: 1 }, null],
    ["hides secrets", "Write", { file_path: "f", content: `k=${KEY}` }, "k=[DEPLOY_KEY]"],
    [
      "is a command that does not fit on the line",
      "Bash",
      { command: `echo ${"a".repeat(2000)}` },
      `echo ${"a".repeat(2000)}`,
    ],
  ];
  test.each(cases)("%s", (_what, tool, input, text) => expect(content(tool, input)).toBe(text));

  test("is the whole long input of an unknown tool", () => {
    const input = { text: "a".repeat(5_000) };
    expect(JSON.parse(content("mcp__x__y", input) ?? "")).toEqual(input);
  });

  test("comes with the size and the hash of the text that the tool gets", () => {
    const { bytes, sha256 } = toolContent("Write", { file_path: "f", content: "ä\n" }, hide) ?? {};
    expect([bytes, sha256]).toEqual([3, new Bun.CryptoHasher("sha256").update("ä\n").digest("hex").slice(0, 16)]);
  });
});

describe("the short description", () => {
  test("shows no part of a secret at its end", () => {
    const shown = describeToolUse("Bash", { command: `${"x".repeat(190)}t0ken-t0ken-t0ken${"y".repeat(20)}` }, hide);
    expect(shown).toBe(`Bash: ${"x".repeat(190)}[MY_TOKEN]…`);
  });

  test("shows the first text of an unknown tool's input, or only the tool's name", () => {
    expect(describeToolUse("mcp__x__y", { n: 1, q: "cats" }, hide)).toBe("mcp__x__y: cats");
    expect(describeToolUse("mcp__x__y", { n: 1 }, hide)).toBe("mcp__x__y");
  });
});
