/** A stream process with a program in place of Claude Code, for what the real one does at most by accident. */
import { afterEach, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { kill } from "node:process";
import { NO_OWNER, type ProcessOwner } from "../../../src/claude/agent-process.ts";
import { SessionFolder, type SessionListener } from "../../../src/claude/session-file.ts";
import { StreamProcess } from "../../../src/claude/stream/process.ts";
import { SettingsReports } from "../../../src/claude/stream/settings-reports.ts";
import { pathsFor } from "../../../src/config/paths.ts";
import { defaults } from "../../../src/config/schema.ts";
import { systemClock } from "../../../src/core/clock.ts";
import type { ToolCatalogue } from "../../../src/core/tools.ts";
import { AccountLimits } from "../../../src/limits/account.ts";
import { catalogueOf, launchSpec } from "../launch-spec.ts";

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

class ListedFolder extends SessionFolder {
  readonly #watched = Promise.withResolvers<number>();
  /** The process id that is watched first. */
  readonly watched = this.#watched.promise;
  override watch({ pid }: SessionListener): () => void {
    this.#watched.resolve(pid);
    return () => {};
  }
}

const responseLine = (id: string, response: object) =>
  JSON.stringify({ type: "control_response", response: { subtype: "success", request_id: id, response } });
const READY = responseLine("initialize 1", { pid: 77 });

const SPARE_SETTINGS = responseLine("get_settings 1", { sources: [] });

/** Starts a process. @param commands what it does when it is ready: shell commands, with `$DIR` as a folder of its own */
function start(
  commands: string,
  {
    ready = READY,
    settings = "{}",
    used = () => ({ sources: [] }),
    tools = catalogueOf(),
    spare = null,
    ...owner
  }: Partial<ProcessOwner> & {
    ready?: string;
    settings?: string;
    /** How Claude Code has read the settings file. */
    used?: (file: string) => object;
    tools?: ToolCatalogue;
    /** It is a spare, and this is its response when it is given a prompt. */
    spare?: string | null;
  } = {},
) {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), "synthesis-test-")));
  folders.push(folder);
  const claudeBin = join(folder, "claude");
  // It responds when it has both requests, which are sent together to save time.
  const started = `read -r line\nread -r line\necho '${ready}'\ncat $DIR/settings`;
  // A spare that is ready gets another request first, to warm up.
  const given = `while read -r line; do case "$line" in *'"initialize"'*) break;; esac; done`;
  const id = `id=$(expr "$line" : '.*"request_id":"\\([^"]*\\)"')`;
  const adopted = `read -r line\necho '${SPARE_SETTINGS}'\n${given}\n${id}\necho '${spare}' | sed "s/ID/$id/"`;
  writeFileSync(claudeBin, `#!/bin/sh\nDIR=${folder}\n${spare ? adopted : started}\n${commands}\n`, { mode: 0o700 });
  mkdirSync(join(folder, ".claude"));
  const settingsFile = join(folder, ".claude/settings.json");
  writeFileSync(settingsFile, settings);
  writeFileSync(join(folder, "settings"), `${responseLine("get_settings 2", used(settingsFile))}\n`);
  const home = join(folder, "home");
  const sessionFolder = new ListedFolder({ HOME: home });
  const process = new StreamProcess(
    launchSpec({ tools, choice: { workspace: folder } }),
    spare ? NO_OWNER : { ...NO_OWNER, ...owner },
    {
      config: { ...defaults(pathsFor(folder)), claudeBin },
      env: { HOME: home, PATH: Bun.env.PATH },
      folder: join(folder, crypto.randomUUID()),
      deny: [],
      sessionFolder,
      limits: new AccountLimits(),
      reports: new SettingsReports({ claudeBin }, {}, systemClock),
      clock: systemClock,
    },
  );
  return { process, folder, sessionFolder };
}

const requestLine = (body: object) => JSON.stringify({ type: "control_request", request_id: "r1", request: body });
/** Commands that write a control request, and keep the response in a file. */
const request = (body: object) => `echo '${requestLine(body)}'; read -r line; echo "$line" > $DIR/response`;
const responseIn = (folder: string) => JSON.parse(readFileSync(join(folder, "response"), "utf8")).response;

test("a process that is killed before it has read a long message only exits", async () => {
  const { process } = start("sleep 0.2; kill -9 $$");
  await process.ready;
  expect(process.send("m1", "c", "x".repeat(3_000_000), {})).toBe(true);
  expect((await process.exited).signal).toBe("SIGKILL");
  // A write that failed unnoticed would fail the test now.
  await Bun.sleep(50);
});

test("the exit does not wait for a program that has left the process group and keeps the pipes open", async () => {
  const { process, folder } = start(
    `env -i setsid sh -c "echo \\$\\$ > $DIR/left; exec sleep 120" & until [ -s $DIR/left ]; do sleep 0.01; done; exit 0`,
  );
  expect((await process.exited).code).toBe(0);
  kill(Number(readFileSync(join(folder, "left"), "utf8")), "SIGKILL");
});

test.each([
  ["input", "exec 0<&-; sleep 30"],
  ["output", "exec 1>&-; sleep 30"],
])("a process that closes its %s and runs on is killed, because it could take no turn", async (_what, commands) => {
  const { process } = start(commands);
  await process.ready;
  // The pipe is full then, so the server notices whenever the process closes it.
  process.send("m1", "c", "x".repeat(3_000_000), {});
  expect((await process.exited).signal).toBe("SIGKILL");
});

test("a request that synthesis does not serve is refused, so that Claude Code does not wait for a response", async () => {
  const { process, folder } = start(request({ subtype: "elicitation", mcp_server_name: "s", message: "Which one?" }));
  await process.exited;
  expect(responseIn(folder)).toMatchObject({ subtype: "error", request_id: "r1" });
});

test("a permission prompt that cannot be decided gets a response", async () => {
  const { process, folder } = start(request({ subtype: "can_use_tool", tool_name: "Bash", input: {} }), {
    onPermission: async () => {
      throw new Error("database is locked");
    },
  });
  await process.exited;
  expect(responseIn(folder)).toMatchObject({ subtype: "error", request_id: "r1" });
});

test("does not become ready when Claude Code refuses to be initialized", async () => {
  const refused = { type: "control_response", response: { subtype: "error", request_id: "initialize 1", error: "no" } };
  const { process } = start("", { ready: JSON.stringify(refused) });
  await expect(process.ready).rejects.toMatchObject({ code: "claude_not_ready" });
  await process.exited;
});

test.each([
  [
    "does not become ready without a settings file that restricts Claude",
    ['{"model":5,"permissions":{"deny":["Bash"]}}', []],
    null,
  ],
  [
    "becomes ready with a settings file that has an error and is used",
    ['{"permissions":{"deny":["("]}}', ["projectSettings"]],
    0,
  ],
  ["becomes ready, with a note, without a settings file that restricts nothing", ['{"model":5}', []], 1],
] as const)("%s", async (_what, [content, sources], notes) => {
  const { process } = start("read -r line", {
    settings: content,
    used: (file) => ({ sources: sources.map((source) => ({ source })), errors: [{ file, path: "model" }] }),
  });
  if (notes === null) await expect(process.ready).rejects.toMatchObject({ reason: "invalid_settings" });
  else {
    await process.ready;
    expect(process.takeNotes()).toHaveLength(notes);
  }
  await process.stop();
});

test("ends when Claude Code refuses to connect to the first tools, so that the next process has them", async () => {
  const refused = { subtype: "error", request_id: "mcp_set_servers 3", error: "no" };
  const { process } = start(
    `read -r line\necho '${JSON.stringify({ type: "control_response", response: refused })}'\nsleep 30`,
  );
  await process.ready;
  void process.tools.offer(catalogueOf("look"));
  expect((await process.exited).signal).toBe("SIGTERM");
});

test("notes that settings deny Claude the client's tools", async () => {
  const settings = '{"permissions":{"deny":["mcp__*"]}}';
  const { process } = start("read -r line", { settings, tools: catalogueOf("look") });
  await process.ready;
  expect(process.takeNotes()).toEqual([expect.stringContaining("permissions.deny: mcp__*")]);
  await process.stop();
});

test("Claude Code below a wrapper is not taken for another claude that has the session open", async () => {
  const { process, sessionFolder } = start("read -r line");
  await process.ready;
  expect(await sessionFolder.watched).toBe(77);
  await process.stop();
});

test("Claude Code below a wrapper that passes no signal on is stopped in order", async () => {
  const asked = Promise.withResolvers<void>();
  const prompt = requestLine({ subtype: "can_use_tool", tool_name: "Bash", input: {} });
  const claude = `trap 'sleep 0.2; echo ended > $1/ended; exit' TERM\necho '${prompt}'\nwhile :; do sleep 0.1; done`;
  const { process, folder } = start(`cat > $DIR/inner <<'END'\n${claude}\nEND\nsh $DIR/inner $DIR`, {
    onPermission: async () => {
      asked.resolve();
      return { behavior: "deny", message: "", rule: null };
    },
  });
  await Promise.all([process.ready, asked.promise]);
  await process.stop();
  expect(readFileSync(join(folder, "ended"), "utf8")).toBe("ended\n");
});

test.each([
  ["when it is ready", true],
  ["while it starts", false],
])("a spare that is adopted %s is ready again for its conversation", async (_when, isReady) => {
  const { process, sessionFolder } = start("read -r line", { spare: responseLine("ID", { pid: 78 }) });
  if (isReady) await process.ready;
  process.assignTo({ ...process.spec, sessionKey: "user:new" }, { ...NO_OWNER });
  expect(process.state).toBe("starting");
  await process.ready;
  expect(process.state).toBe("ready");
  expect(await sessionFolder.watched).toBe(78);
  await process.stop();
});

test("a spare that does not take its prompt is killed, because it may have a message already", async () => {
  const response = { subtype: "error", request_id: "ID", error: "no" };
  const { process } = start("sleep 30", { spare: JSON.stringify({ type: "control_response", response }) });
  await process.ready;
  process.assignTo(process.spec, { ...NO_OWNER });
  expect((await process.exited).signal).toBe("SIGKILL");
});
