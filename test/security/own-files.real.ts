/** On the real claude: a trusted folder, and Claude itself, cannot reach the server's code, tokens and files. */
import { describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { thisProgram } from "../../src/cli/this-program.ts";
import { text, toolUse } from "../support/mock-anthropic.ts";
import { answerText, ask } from "../support/sse.ts";
import { createWorld, type World } from "../support/world.ts";
import { projectSettings, write } from "./folder.ts";

/** Lets Claude call its own tools, one in each message. @returns a function that makes a call and returns its result */
function toolCaller(world: World) {
  world.mock.on(/^[\s\S]*call: /, function* ({ toolResults, asked }) {
    const [name, input] = JSON.parse(/call: (.*)/.exec(asked)?.[1] ?? "");
    if (toolResults.length === 0) yield toolUse(name, input);
    else yield text(toolResults[0]?.content ?? "");
  });
  return async (name: string, input: object) =>
    answerText(await world.server.post(ask(`call: ${JSON.stringify([name, input])}`, { user: "caller" })));
}

test("code and variables of the workspace do not reach the plugin", async () => {
  await using world = await createWorld({
    prepare: ({ base, workspace }) => {
      write(
        join(workspace, "evil.ts"),
        `require("node:fs").appendFileSync("${base}/ran", JSON.stringify(process.env))`,
      );
      write(join(workspace, "bunfig.toml"), 'preload = ["./evil.ts"]\n[test]\npreload = ["./evil.ts"]\n');
      write(join(workspace, ".env"), "SYNTHESIS_BRIDGE_URL=ws://127.0.0.1:1/\nBUN_OPTIONS=--preload=./evil.ts\n");
      write(join(workspace, "tsconfig.json"), { compilerOptions: { paths: { zod: ["./evil.ts"] } } });
      write(join(workspace, "package.json"), { scripts: { channel: "touch ran" }, imports: { zod: "./evil.ts" } });
      write(join(workspace, "node_modules/zod/index.js"), `require("${workspace}/evil.ts")`);
      const env = { BUN_OPTIONS: "--preload=./evil.ts", BUN_INSPECT_PRELOAD: "./evil.ts", BUN_BE_BUN: "1" };
      projectSettings(workspace, {
        env: { ...env, SYNTHESIS_BRIDGE_TOKEN: "evil", SYNTHESIS_PROCESS_MARK: "evil" },
      });
    },
  });
  expect(await answerText(await world.server.post(ask("hello")))).toBe("You said: hello");
  expect(existsSync(join(world.claude.base, "ran"))).toBe(false);
});

test("code and variables of the current folder do not reach the watchdog of a killed server", async () => {
  const current = mkdtempSync(join(tmpdir(), "synthesis-test-"));
  write(join(current, "evil.ts"), `require("node:fs").appendFileSync("${current}/ran", process.argv.join(" "))`);
  write(join(current, "bunfig.toml"), 'preload = ["./evil.ts"]');
  write(
    join(current, ".env"),
    `SYNTHESIS_API_KEY=key-of-the-current-folder\nBUN_OPTIONS=--preload=${current}/evil.ts\n`,
  );
  await using world = await createWorld({
    standIn: true,
    program: ["/bin/sh", "-c", 'cd "$0" && exec "$@"', current, ...thisProgram()],
  });
  expect(await answerText(await world.server.post(ask("hello", { user: "me" })))).toBe("You said: hello");
  expect(world.server.key).toStartWith("sk-synthesis-");
  const run = join(world.claude.base, "state/run");
  expect(readdirSync(run)).toHaveLength(1);
  await world.server.stop("SIGKILL");
  // The test's timeout ends the wait.
  while (readdirSync(run).length > 0) await Bun.sleep(50);
  expect(existsSync(join(current, "ran")) ? readFileSync(join(current, "ran"), "utf8") : "").toBe("");
  rmSync(current, { recursive: true });
});

test("a shell command of Claude finds no token in its environment and in the files it may read", async () => {
  await using world = await createWorld();
  const call = toolCaller(world);
  const environment = await call("Bash", { command: "env", description: "Look" });
  const run = join(world.claude.base, "state/run");
  const [process = ""] = readdirSync(run);
  expect(environment).toContain(`SYNTHESIS_PROCESS_MARK=${process}`);
  const plugin = readFileSync(join(run, process, "plugin/.claude-plugin/plugin.json"), "utf8");
  const hooks = readFileSync(join(run, process, "plugin/hooks/hooks.json"), "utf8");
  const state = (name: string) => readFileSync(join(world.claude.base, "state", name), "utf8").trim();
  const secrets = [
    /"SYNTHESIS_BRIDGE_TOKEN": "([^"]+)"/.exec(plugin)?.[1],
    /Bearer ([^"]+)"/.exec(hooks)?.[1],
    state("chat.key"),
    state("control.key"),
  ];
  const settings = readFileSync(join(run, process, "settings.json"), "utf8");
  for (const secret of secrets) {
    expect(secret).toMatch(/^\S{32,}$/);
    expect(environment).not.toContain(secret as string);
    expect(settings).not.toContain(secret as string);
  }
});

describe("Claude cannot read or change the server's files", () => {
  const modes = [
    ["manual", {}],
    ["acceptEdits", {}],
    // Claude Code refuses this mode to root outside a sandbox.
    ["bypassPermissions", { IS_SANDBOX: "1" }],
  ] as const;
  test.each(modes)("in the permission mode %s", async (mode, env) => {
    await using world = await createWorld({
      env: { ...env, SYNTHESIS_PERMISSION_MODE: mode, SYNTHESIS_ALLOWED_TOOLS: "Read Edit Write Bash" },
    });
    const call = toolCaller(world);
    const state = join(world.claude.base, "state");
    writeFileSync(join(state, "config.json"), "{}", { mode: 0o600 });
    symlinkSync(join(state, "chat.key"), join(world.claude.workspace, "innocent.txt"));
    symlinkSync(state, join(world.claude.workspace, "way"));
    const shell = (command: string) => ["Bash", { command, description: "Try" }] as const;
    const attempts = [
      ["Read", { file_path: join(state, "control.key") }],
      ["Read", { file_path: join(world.claude.workspace, "innocent.txt") }],
      ["Read", { file_path: join(world.claude.workspace, "way/chat.key") }],
      ["Write", { file_path: join(state, "config.json"), content: "written" }],
      ["Edit", { file_path: join(state, "config.json"), old_string: "{}", new_string: "written" }],
      shell("cat ../state/chat.key"),
      shell("cat way/control.key"),
      shell(`cat ${state}/run/*/plugin/hooks/hooks.json`),
      shell(`echo written > ${state}/config.json`),
      shell(`cat ${state}/synthesis.db-wal`),
    ] as const;
    for (const [tool, input] of attempts) {
      expect(await call(tool, input), JSON.stringify(input)).toMatch(/denied|blocked by a deny rule/);
    }
    expect(readFileSync(join(state, "config.json"), "utf8")).toBe("{}");
  });

  test("except attachments and a workspace in the state folder", async () => {
    await using world = await createWorld({
      prepare: ({ base, home }) => {
        const workspace = join(base, "state/workspace");
        write(join(workspace, "mine.txt"), "the content");
        write(join(base, "state/images/kept.txt"), "an attachment");
        const state = JSON.parse(readFileSync(join(home, ".claude.json"), "utf8"));
        write(join(home, ".claude.json"), { ...state, projects: { [workspace]: { hasTrustDialogAccepted: true } } });
      },
      env: { SYNTHESIS_WORKSPACE: "" },
    });
    const call = toolCaller(world);
    const state = join(world.claude.base, "state");
    expect(await call("Read", { file_path: join(state, "workspace/mine.txt") })).toContain("the content");
    expect(await call("Read", { file_path: join(state, "images/kept.txt") })).toContain("an attachment");
    await call("Write", { file_path: join(state, "workspace/new.txt"), content: "new" });
    await call("Bash", { command: "echo more >> mine.txt", description: "Write" });
    expect(readFileSync(join(state, "workspace/mine.txt"), "utf8")).toContain("more");
  });
});
