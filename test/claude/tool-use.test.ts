/** What a person is shown of what claude does, or asks to do. */
import { describe, expect, test } from "bun:test";
import { hideSecrets } from "../../src/claude/secrets.ts";
import { describeToolUse, spellOutToolUse } from "../../src/claude/tool-use.ts";

const KEY = '-----BEGIN KEY-----\nab"cd\n-----END KEY-----';
const hide = hideSecrets({ DEPLOY_KEY: KEY, MY_TOKEN: "t0ken-t0ken-t0ken", HOME: "/home/me" });

describe("to somebody who is to allow it", () => {
  const ask = (tool: string, input: unknown) => spellOutToolUse(tool, input, hide);
  const cases: [what: string, tool: string, input: unknown, shown: string][] = [
    ["a command", "Bash", { command: "git push", description: "Harmless" }, "Bash: git push"],
    ["a new line, which a shell does not pass over", "Bash", { command: "ls\n  rm -rf ~" }, "Bash: ls ⏎ rm -rf ~"],
    ["padding as what it is", "Bash", { command: `ls${" ".repeat(5000)}; rm -rf ~` }, "Bash: ls ; rm -rf ~"],
    ["what moves a cursor", "Bash", { command: "rm x\r\x1b[2Kls" }, "Bash: rm x \\u{1b}[2Kls"],
    ["what turns the direction", "Bash", { command: "ls \u202e~ fr- mr" }, "Bash: ls \\u{202e}~ fr- mr"],
    ["what has no width", "Write", { file_path: "a\u200b.txt" }, "Write: a\\u{200b}.txt"],
    [
      "all of a tool that we do not know",
      "mcp__x__send",
      { note: "hi", to: "all" },
      'mcp__x__send: {"note":"hi","to":"all"}',
    ],
    ["a tool whose field is missing", "Bash", { other: 1 }, 'Bash: {"other":1}'],
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
