/** Splitting OpenClaw's system prompt, and prompts that look like it. */
import { describe, expect, test } from "bun:test";
import { isAttempt, splitSystemPrompt, workingDirectory } from "../../../src/api/openclaw/system-prompt.ts";
import { systemPrompt } from "../../support/openclaw.ts";

const STABLE_END = "<!-- /openclaw:attempt:STABLE -->";

describe("the stable part", () => {
  test("stays the same when the volatile part changes", () => {
    const [one, other] = ["2026-11-22", "2026-11-23"].map((date) => splitSystemPrompt(systemPrompt({ date })));
    expect(one?.stable).toBe(other?.stable as string);
    expect(one?.volatile).not.toBe(other?.volatile as string);
  });

  test("and the volatile part are the whole prompt, without markers", () => {
    const { stable, volatile } = splitSystemPrompt(systemPrompt());
    expect(stable).toStartWith("You are a helper inside OpenClaw.\n");
    expect(stable).toEndWith("\nBe kind.");
    expect(volatile).toBe("## Temporal Context\nCurrent date: 2026-11-22");
  });

  test("is not ended by a file of the workspace that contains its end marker", () => {
    const agentsFile = `The section ends with\n${STABLE_END}\nand so on.`;
    expect(splitSystemPrompt(systemPrompt({ agentsFile })).stable).toEndWith(`${STABLE_END}\nand so on.`);
  });

  const cases: [what: string, prompt: string, stable: string, volatile: string][] = [
    [
      "of a prompt without a volatile part is all of it",
      `<!-- openclaw:attempt:STABLE -->\nHello\n${STABLE_END}`,
      "Hello",
      "",
    ],
    ["of a prompt without an end marker is all of it", "<!-- openclaw:attempt:STABLE -->\nHello", "Hello", ""],
    [
      "ends before a second system message",
      `<!-- openclaw:attempt:STABLE -->\nHello\n${STABLE_END}\n\nBe brief.`,
      "Hello",
      "Be brief.",
    ],
    [
      "ends before changed permissions",
      `<!-- openclaw:attempt:STABLE -->\nHello\n${STABLE_END}\n\n<!-- openclaw:attempt:PERMISSION -->\nRead only\n<!-- /openclaw:attempt:PERMISSION -->`,
      "Hello",
      "Read only",
    ],
    ["of another client's prompt is all of it", "You are kind.", "You are kind.", ""],
    ["of a prompt that only contains the markers is all of it", `See ${systemPrompt()}`, `See ${systemPrompt()}`, ""],
    ["of an empty prompt is empty", "", "", ""],
  ];
  test.each(cases)("%s", (_what, prompt, stable, volatile) => {
    expect(splitSystemPrompt(prompt)).toEqual({ stable, volatile });
  });
});

describe("the working directory", () => {
  const cases: [what: string, prompt: string, directory: string | null][] = [
    ["is read from the Workspace section", systemPrompt({ workspace: "/home/me/my work" }), "/home/me/my work"],
    [
      "is not read from a file of the workspace",
      systemPrompt({ agentsFile: "## Workspace\nWorking directory: /etc" }),
      "/home/me/work",
    ],
    ["is not read from another client's prompt", "## Workspace\nWorking directory: /etc", null],
    ["is null when it is missing", "<!-- openclaw:attempt:STABLE -->\nHello", null],
  ];
  test.each(cases)("%s", (_what, prompt, directory) => {
    expect(workingDirectory(prompt)).toBe(directory);
  });
});

test("only a prompt that begins with the marker is OpenClaw's", () => {
  expect(isAttempt(systemPrompt())).toBe(true);
  expect(isAttempt(` ${systemPrompt()}`)).toBe(false);
});
