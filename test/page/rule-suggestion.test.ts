/** Which rule the page suggests, to be allowed with a permission prompt. */
import { expect, test } from "bun:test";
import { suggestRule } from "../../src/page/rule-suggestion.ts";
import { permissionVerdict } from "../../src/wire/permissions.ts";

test.each([
  ["Bash", { command: "git push origin main" }, "Bash(git push origin main)"],
  ["Bash", { command: "echo $(id)" }, ""],
  ["Bash", { command: "one\ntwo" }, ""],
  ["Bash", { command: "rm *" }, ""],
  ["Bash", {}, ""],
  ["WebFetch", { url: "https://docs.example.com/a?b" }, "WebFetch(domain:docs.example.com)"],
  ["WebFetch", { url: "no address" }, ""],
  ["Write", { file_path: "/srv/a b.txt" }, "Write(//srv/a b.txt)"],
  ["Edit", { file_path: "relative" }, ""],
  ["Edit", { file_path: "/srv/[ab].txt" }, ""],
  ["mcp__x__y", { anything: 1 }, ""],
  ["Task", null, ""],
])("%s with %j: %s", (tool, input, rule) => {
  expect(suggestRule(tool, input)).toBe(rule);
  if (rule !== "") expect(permissionVerdict.safeParse({ behavior: "allow", rule }).success).toBe(true);
});
