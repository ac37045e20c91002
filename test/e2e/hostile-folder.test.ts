/** On the real claude: what a trusted folder, and Claude itself, can take from the server or turn against it. */
import { describe, expect, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { thisProgram } from "../../src/cli/this-program.ts";
import type { ClaudeHome } from "../support/claude-home.ts";
import { text, toolUse } from "../support/mock-anthropic.ts";
import { ask, texts } from "../support/sse.ts";
import { createWorld, type World, type WorldOptions } from "../support/world.ts";

const collect = async (response: Response) => (await Array.fromAsync(texts(response))).join("");
const put = (path: string, content: string | object) => {
  mkdirSync(join(path, ".."), { recursive: true });
  writeFileSync(path, typeof content === "string" ? content : JSON.stringify(content));
};
const settingsOf = (folder: string) => join(folder, ".claude/settings.json");
const PING = { type: "function", function: { name: "ping", description: "p", parameters: { type: "object" } } };

/** Lets Claude make calls of its own tools, one a message, and gives their results. */
function caller(world: World) {
  world.mock.on(/^[\s\S]*call: /, function* ({ toolResults, asked }) {
    const [name, input] = JSON.parse(/call: (.*)/.exec(asked)?.[1] ?? "");
    if (toolResults.length === 0) yield toolUse(name, input);
    else yield text(toolResults[0]?.content ?? "");
  });
  return async (name: string, input: object) =>
    collect(await world.server.post(ask(`call: ${JSON.stringify([name, input])}`, { user: "caller" })));
}

test("code and variables of the folder do not reach the plugin", async () => {
  await using world = await createWorld({
    prepare: ({ base, workspace }) => {
      put(join(workspace, "evil.ts"), `require("node:fs").appendFileSync("${base}/ran", JSON.stringify(process.env))`);
      put(join(workspace, "bunfig.toml"), 'preload = ["./evil.ts"]\n[test]\npreload = ["./evil.ts"]\n');
      put(join(workspace, ".env"), "SYNTHESIS_BRIDGE_URL=ws://127.0.0.1:1/\nBUN_OPTIONS=--preload=./evil.ts\n");
      put(join(workspace, "tsconfig.json"), { compilerOptions: { paths: { zod: ["./evil.ts"] } } });
      put(join(workspace, "package.json"), { scripts: { channel: "touch ran" }, imports: { zod: "./evil.ts" } });
      put(join(workspace, "node_modules/zod/index.js"), `require("${workspace}/evil.ts")`);
      const env = { BUN_OPTIONS: "--preload=./evil.ts", BUN_INSPECT_PRELOAD: "./evil.ts", BUN_BE_BUN: "1" };
      put(settingsOf(workspace), { env: { ...env, SYNTHESIS_BRIDGE_TOKEN: "evil", SYNTHESIS_PROCESS_MARK: "evil" } });
    },
  });
  expect(await collect(await world.server.post(ask("hello")))).toBe("You said: hello");
  expect(existsSync(join(world.claude.base, "ran"))).toBe(false);
});

test("code and variables of the current folder do not reach what clears up after a killed server", async () => {
  const current = mkdtempSync(join(tmpdir(), "synthesis-test-"));
  put(join(current, "evil.ts"), `require("node:fs").appendFileSync("${current}/ran", process.argv.join(" "))`);
  put(join(current, "bunfig.toml"), 'preload = ["./evil.ts"]');
  put(join(current, ".env"), `SYNTHESIS_API_KEY=key-of-the-current-folder\nBUN_OPTIONS=--preload=${current}/evil.ts\n`);
  await using world = await createWorld({
    standIn: true,
    program: ["/bin/sh", "-c", 'cd "$0" && exec "$@"', current, ...thisProgram()],
  });
  expect(await collect(await world.server.post(ask("hello", { user: "me" })))).toBe("You said: hello");
  expect(world.server.key).toStartWith("sk-synthesis-");
  const run = join(world.claude.base, "state/run");
  expect(readdirSync(run)).toHaveLength(1);
  await world.server.stop("SIGKILL");
  // The test's own time limit ends the wait.
  while (readdirSync(run).length > 0) await Bun.sleep(50);
  expect(existsSync(join(current, "ran")) ? readFileSync(join(current, "ran"), "utf8") : "").toBe("");
  rmSync(current, { recursive: true });
});

test("a command that Claude runs has no token in its environment, and none can be found in files it may read", async () => {
  await using world = await createWorld();
  const call = caller(world);
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

describe("the server's own files are not Claude's", () => {
  const modes = [
    ["manual", {}],
    ["acceptEdits", {}],
    // Claude Code refuses this mode to root, but for a sandbox.
    ["bypassPermissions", { IS_SANDBOX: "1" }],
  ] as const;
  test.each(modes)("in the permission mode %s", async (mode, env) => {
    await using world = await createWorld({
      env: { ...env, SYNTHESIS_PERMISSION_MODE: mode, SYNTHESIS_ALLOWED_TOOLS: "Read Edit Write Bash" },
    });
    const call = caller(world);
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

  test("but attachments and a workspace in the state folder are", async () => {
    await using world = await createWorld({
      prepare: ({ base, home }) => {
        const workspace = join(base, "state/workspace");
        put(join(workspace, "mine.txt"), "the content");
        put(join(base, "state/images/kept.txt"), "an attachment");
        const state = JSON.parse(readFileSync(join(home, ".claude.json"), "utf8"));
        put(join(home, ".claude.json"), { ...state, projects: { [workspace]: { hasTrustDialogAccepted: true } } });
      },
      env: { SYNTHESIS_WORKSPACE: "" },
    });
    const call = caller(world);
    const state = join(world.claude.base, "state");
    expect(await call("Read", { file_path: join(state, "workspace/mine.txt") })).toContain("the content");
    expect(await call("Read", { file_path: join(state, "images/kept.txt") })).toContain("an attachment");
    await call("Write", { file_path: join(state, "workspace/new.txt"), content: "new" });
    await call("Bash", { command: "echo more >> mine.txt", description: "Write" });
    expect(readFileSync(join(state, "workspace/mine.txt"), "utf8")).toContain("more");
  });
});

describe("settings of the folder that would keep Claude from us are overridden:", () => {
  const cases: [what: string, settings: object][] = [
    ["variables that hooks may use", { httpHookAllowedEnvVars: [] }],
    ["addresses that hooks may ask", { allowedHttpHookUrls: [] }],
    ["the plugin switched off", { enabledPlugins: { "synthesis@inline": false } }],
    ["only the administrator's hooks", { allowManagedHooksOnly: true, disableAllHooks: true }],
    ["no channels", { channelsEnabled: false, allowedChannelPlugins: [] }],
    ["servers of the folder's own file", { disabledMcpjsonServers: ["chat", "plugin:synthesis:chat"] }],
    ["tools behind a search, and a proxy", { env: { ENABLE_TOOL_SEARCH: "true", HTTP_PROXY: "http://127.0.0.1:9" } }],
  ];
  test.each(cases)("%s", async (_what, settings) => {
    await using world = await createWorld({ prepare: ({ workspace }) => put(settingsOf(workspace), settings) });
    const response = await world.server.post({ ...ask("hello"), tools: [PING] });
    expect(await collect(response)).toBe("You said: hello");
    expect(world.mock.requests.at(-1)?.body.tools?.map(({ name }) => name)).toContain(
      "mcp__plugin_synthesis_chat__ping",
    );
  });
});

describe("settings that cannot be overridden are named at once:", () => {
  const inWorkspace =
    (settings: object) =>
    ({ workspace }: ClaudeHome) =>
      put(settingsOf(workspace), settings);
  const inHome =
    (settings: object) =>
    ({ home }: ClaudeHome) =>
      put(settingsOf(home), settings);
  const refused: [what: string, prepare: WorldOptions["prepare"], code: string, named: RegExp][] = [
    [
      "our server denied by the folder",
      inWorkspace({ deniedMcpServers: [{ serverName: "github" }, { serverName: "plugin:synthesis:chat" }] }),
      "claude_not_ready",
      /deniedMcpServers in \S+\/workspace\/\.claude\/settings\.json/,
    ],
    [
      "our server denied by the user",
      inHome({ deniedMcpServers: [{ serverName: "plugin:synthesis:chat" }] }),
      "claude_not_ready",
      /deniedMcpServers in \S+\/home\/\.claude\/settings\.json/,
    ],
    [
      "a list of the servers that are allowed",
      inWorkspace({ allowedMcpServers: [{ serverName: "plugin:synthesis:chat" }] }),
      "claude_not_ready",
      /allowedMcpServers in \S+\/workspace/,
    ],
    [
      "our server switched off with /mcp",
      ({ home, workspace }) => {
        const file = join(home, ".claude.json");
        const state = JSON.parse(readFileSync(file, "utf8"));
        state.projects[workspace].disabledMcpServers = ["plugin:synthesis:chat"];
        put(file, state);
      },
      "claude_not_ready",
      /disabledMcpServers of \S+\/workspace in \S+\/\.claude\.json/,
    ],
    [
      "a variable that switches channels off",
      inWorkspace({ env: { DO_NOT_TRACK: "1" } }),
      "channel_refused",
      /env\.DO_NOT_TRACK in \S+\/workspace/,
    ],
    [
      "a provider without channels",
      inHome({ env: { CLAUDE_CODE_USE_BEDROCK: "1" } }),
      "channel_refused",
      /env\.CLAUDE_CODE_USE_BEDROCK in \S+\/home/,
    ],
  ];
  test.each(refused)("%s", async (_what, prepare, code, named) => {
    await using world = await createWorld({ ...(prepare ? { prepare } : {}) });
    const response = await world.server.post(ask("hello"));
    expect([response.status, response.headers.get("x-should-retry")]).toEqual([503, "false"]);
    expect(await response.json()).toMatchObject({ error: { code, message: expect.stringMatching(named) } });
  });

  const rules = ["mcp__plugin_synthesis_chat__*", "mcp__plugin_synthesis_chat", "mcp__*"];
  test.each(rules)("a rule that denies the client's tools: %s", async (rule) => {
    await using world = await createWorld({ prepare: inWorkspace({ permissions: { deny: ["WebFetch", rule] } }) });
    const say = async (user: string, tools?: object[]) =>
      collect(await world.server.post({ ...ask("hello", { user }), ...(tools ? { tools } : {}) }));
    const answer = await say("with", [PING]);
    expect(answer).toStartWith("[synthesis: Settings deny Claude the tools of the chat: permissions.deny: ");
    expect(answer).toContain(`${rule} in ${settingsOf(world.claude.workspace)}`);
    expect(answer).toEndWith("You said: hello");
    expect(await say("with", [PING])).toBe("You said: hello");
    // Where no tools are offered, none are missed.
    expect(await say("without")).toBe("You said: hello");
  });
});
