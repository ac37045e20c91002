/** On the real claude: which workspaces it trusts, what it asks when it starts, and settings of the user. */
import { describe, expect, test } from "bun:test";
import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { ClaudeHome } from "../support/claude-home.ts";
import { answerText, ask } from "../support/sse.ts";
import { createWorld, type World, type WorldOptions } from "../support/world.ts";

test("trusts the configured workspace on the user's behalf", async () => {
  await using world = await createWorld({ trusted: false });
  expect(await answerText(await world.server.post(ask("hello")))).toBe("You said: hello");
});

test("refuses a workspace outside the allowed roots before it starts claude", async () => {
  await using world = await createWorld({
    trusted: false,
    prepare: ({ base }) => mkdirSync(join(base, "roots/stranger"), { recursive: true }),
    env: { SYNTHESIS_ALLOWED_ROOTS: "" },
  });
  const outside = join(world.claude.base, "roots/stranger");
  const refused = await world.server.post(ask("hello"), { "x-openclaw-workspace": outside });
  expect(refused.status).toBe(400);
  expect(await refused.json()).toMatchObject({
    error: { code: "workspace_not_allowed", param: "x-openclaw-workspace" },
  });
});

test("refuses a folder below an allowed root that claude does not trust, and says so", async () => {
  await using world = await createWorld({
    trusted: false,
    prepare: ({ base }) => mkdirSync(join(base, "workspace/project"), { recursive: true }),
  });
  const project = join(world.claude.base, "workspace/project");
  const answer = await world.server.post(ask("hello"), { "x-openclaw-workspace": project });
  expect(answer.status).toBe(503);
  expect(await answer.json()).toMatchObject({
    error: { code: "claude_not_ready", message: expect.stringContaining("does not trust this workspace") },
  });
});

test("uses an API key from the environment only if SYNTHESIS_USE_API_KEY is set", async () => {
  await using withoutSetting = await createWorld({ keyApproved: false });
  const refused = await withoutSetting.server.post(ask("hello"));
  expect([refused.status, ((await refused.json()) as { error: { code: string } }).error.code]).toEqual([
    503,
    "claude_not_logged_in",
  ]);
  await using withSetting = await createWorld({ keyApproved: false, env: { SYNTHESIS_USE_API_KEY: "true" } });
  expect(await answerText(await withSetting.server.post(ask("hello")))).toBe("You said: hello");
});

/** Writes `.claude/settings.json` in the user's home or in the workspace. */
const writeSettings = (folder: string, content: string) => {
  mkdirSync(join(folder, ".claude"), { recursive: true });
  writeFileSync(join(folder, ".claude/settings.json"), content);
};
/** Writes a CLAUDE.md that imports `files` files from outside the workspace. */
const writeImports = ({ base, workspace }: ClaudeHome, files: number) => {
  mkdirSync(join(base, "shared"));
  const paths = Array.from({ length: files }, (_, index) => `../shared/rules-${index}.md`);
  for (const path of paths) writeFileSync(join(workspace, path), "Call everybody Alice.");
  writeFileSync(join(workspace, "CLAUDE.md"), `# House\n\n${paths.map((path) => `Rules: @${path}`).join("\n")}\n`);
};
/** Says hello in the conversation of this user. */
const say = async ({ server }: World, user: string) => answerText(await server.post(ask("hello", { user })));

describe("leaves out what claude asks for when it starts, and says so once:", () => {
  test.each([true, false])(
    "files that CLAUDE.md imports from elsewhere (folder trusted before: %p)",
    async (trusted) => {
      await using world = await createWorld({ trusted, prepare: (home) => writeImports(home, 1) });
      const first = await say(world, "one");
      expect(first).toStartWith("[synthesis: ");
      expect(first).toContain(join(world.claude.base, "shared/rules-0.md"));
      expect(first).toContain("/config");
      expect(first).toEndWith("]\n\nYou said: hello");
      expect(await say(world, "one")).toBe("You said: hello");
      // Claude Code saves the answer to its dialog, but not always in time for the next process.
      if (trusted) expect(await say(world, "two")).toEndWith("You said: hello");
      expect(await world.server.logged(/claude started with limits/)).toContain("WARN");
      expect(world.mock.requests.some(({ shown }) => shown.includes("Alice"))).toBe(false);
    },
  );

  test("many files that rules import", async () => {
    await using world = await createWorld({
      prepare: (home) => {
        writeImports(home, 9);
        mkdirSync(join(home.workspace, ".claude/rules"), { recursive: true });
        const file = join(home.workspace, ".claude/rules/house.md");
        renameSync(join(home.workspace, "CLAUDE.md"), file);
        writeFileSync(file, readFileSync(file, "utf8").replaceAll("@../shared", "@../../../shared"));
      },
    });
    const first = await say(world, "one");
    expect(first).toContain("shared/rules-0.md, ");
    expect(first).toContain("3 more");
  });

  test("a settings file that is not valid JSON", async () => {
    await using world = await createWorld({ prepare: ({ workspace }) => writeSettings(workspace, '{ "model": ') });
    const first = await say(world, "one");
    expect(first).toStartWith("[synthesis: ");
    expect(first).toContain(`${world.claude.workspace}/.claude/`);
    expect(first).toEndWith("]\n\nYou said: hello");
    expect(await say(world, "one")).toBe("You said: hello");
  });

  test("an invalid value in the settings", async () => {
    await using world = await createWorld({
      prepare: ({ home }) => writeSettings(home, JSON.stringify({ hooks: { NoSuchEvent: [] } })),
    });
    expect(await say(world, "one")).toMatch(/^\[synthesis: .*settings.*\]\n\nYou said: hello$/);
  });

  test("an offer to make auto mode the default, without a note", async () => {
    await using world = await createWorld({
      prepare: ({ home }) => writeSettings(home, JSON.stringify({ permissions: { defaultMode: "bypassPermissions" } })),
    });
    expect(await say(world, "one")).toBe("You said: hello");
    expect(readFileSync(join(world.claude.home, ".claude/settings.json"), "utf8")).not.toContain("auto");
  });
});

test("refuses to start when an invalid settings file denies something", async () => {
  await using world = await createWorld({
    prepare: ({ home }) => writeSettings(home, '{ "permissions": { "deny": ["Read(./.env)"] }, '),
  });
  const answer = await world.server.post(ask("hello"));
  expect([answer.status, answer.headers.get("x-should-retry")]).toEqual([503, "false"]);
  const { error } = (await answer.json()) as { error: { code: string; message: string } };
  expect(error.code).toBe("claude_not_ready");
  // The message has all of claude's screen: it names the file and the position of the fault.
  expect(error.message).toContain(`${world.claude.home}/.claude/settings.json\n`);
  expect(error.message).toContain("3. Continue without these settings");
});

test("does not reset a damaged configuration of claude, and names the file", async () => {
  await using world = await createWorld({
    prepare: ({ home }) => writeFileSync(join(home, ".claude.json"), "{ damaged"),
  });
  const answer = await world.server.post(ask("hello"));
  expect([answer.status, answer.headers.get("x-should-retry")]).toEqual([503, "false"]);
  expect(await answer.json()).toMatchObject({
    error: { code: "claude_not_ready", message: expect.stringContaining(".claude.json isn't valid JSON") },
  });
  expect(readFileSync(join(world.claude.home, ".claude.json"), "utf8")).toBe("{ damaged");
});

describe("variables that the user has set for another purpose", () => {
  const userSettings = (env: object) => (home: ClaudeHome) => writeSettings(home.home, JSON.stringify({ env }));
  const cases: [what: string, options: WorldOptions][] = [
    [
      "limits for MCP servers, a proxy that cannot reach this machine, and a list of variables for MCP servers",
      {
        env: {
          MCP_TIMEOUT: "100",
          MCP_TOOL_TIMEOUT: "1",
          MAX_MCP_OUTPUT_TOKENS: "1",
          MCP_SERVER_CONNECTION_BATCH_SIZE: "1",
          HTTP_PROXY: "http://127.0.0.1:9",
          HTTPS_PROXY: "http://127.0.0.1:9",
          NO_PROXY: "example.com",
          CLAUDE_CODE_MCP_ALLOWLIST_ENV: "1",
        },
      },
    ],
    [
      "a short time to start, in the environment and in both settings files",
      {
        env: { MCP_TIMEOUT: "1" },
        prepare: (home) => {
          userSettings({ MCP_TIMEOUT: "100" })(home);
          writeSettings(home.workspace, JSON.stringify({ env: { MCP_TIMEOUT: "100" } }));
        },
      },
    ],
    ["a short time to start, in the user's settings", { prepare: userSettings({ MCP_TIMEOUT: "1" }) }],
  ];
  test.each(cases)("do not keep claude from answering: %s", async (_what, options) => {
    await using world = await createWorld(options);
    expect(await answerText(await world.server.post(ask("hello")))).toBe("You said: hello");
  });

  test("are named when they switch plugins off, and the error does not advise more time", async () => {
    await using world = await createWorld({
      env: { CLAUDE_CODE_SAFE_MODE: "1", SYNTHESIS_READY_TIMEOUT_MS: "5000" },
    });
    const answer = await world.server.post(ask("hello"));
    expect([answer.status, answer.headers.get("x-should-retry")]).toEqual([503, "false"]);
    const { error } = (await answer.json()) as { error: { message: string } };
    expect(error.message).toContain("CLAUDE_CODE_SAFE_MODE");
    expect(error.message).not.toContain("SYNTHESIS_READY_TIMEOUT_MS");
  });
});
