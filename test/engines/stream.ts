/**
 * `bun run test:stream` runs the tests of `test/e2e`, and those of a server with stand-ins, over stream-json, too. They
 * name the interactive engine where nothing else does; this run names the other one. Its arguments are handed to
 * `bun test`.
 */
import { join } from "node:path";

/** Tests of what only the interactive engine has, and why they are left out here. */
const LEFT_OUT: readonly [test: string, why: string][] = [
  ["streams a line while claude still writes the next", "hooks report whole lines, stream-json reports tokens"],
  ["gets results that were sent into a dropped plugin socket", "there is no plugin"],
  ["when the plugin is killed", "there is no plugin"],
  ["when the plugin's socket drops", "there is no plugin"],
  ["when plugin, server and claude are killed", "there is no plugin"],
  ["are named when they switch plugins off", "there is no plugin"],
  ["only their owner can read the secrets in a process's folder", "the plugin's files have the secrets"],
  ["takes only a conversation with the same options", "a spare suits any conversation of its workspace"],
  ["a prewarmed process is stopped before", "a spare suits any conversation of its workspace"],
  ["shows a running turn, sends no key to claude", "there is no terminal"],
  ["shows the screen of an unknown dialog", "there is no terminal"],
  ["waits for a process that does not exit, but for less time", "a SessionEnd hook says that the session has ended"],
  ["token counts that reach the transcript too late", "stream-json reports the figures before the answer ends"],
  ["a message without a receipt is sent once more", "a pipe loses no message, so none is sent again"],
  ["says that it has never been set up", "a dialog of the terminal says so"],
  ["says that it refuses the channel", "there is no channel"],
  ["an invalid value in the settings", "a dialog of the terminal reports it"],
  ["files that CLAUDE.md imports from elsewhere", "a dialog of the terminal asks for them"],
  ["many files that rules import", "a dialog of the terminal asks for them"],
  ["does not reset a damaged configuration of claude", "the terminal's words for it are compared"],
  ["refuses to start when an invalid settings file denies", "the terminal's words for it are compared"],
];

/** Folders whose tests run a server with claudes, and the files of each that are left out here. */
const FOLDERS: Readonly<Record<string, readonly string[]>> = {
  // They start no conversation, or choose the engine themselves.
  e2e: ["binary", "client", "engine", "one-shot", "running-options", "stream-engine"],
  http: [
    // They are about the bridge of the plugin, hooks over HTTP, and the screen of a terminal.
    ...["bridge", "hooks", "hostile-bodies", "screen"],
    // They end at the port, before any claude.
    ...["addresses", "authorization", "encodings", "idle-timeout", "routes"],
  ],
};

const test = join(import.meta.dir, "..");
const files = Object.entries(FOLDERS).flatMap(([folder, leftOut]) =>
  [...new Bun.Glob("*.test.ts").scanSync(join(test, folder))]
    .filter((file) => !leftOut.includes(file.replace(/\.test\.ts$/, "")))
    .sort()
    .map((file) => join(test, folder, file)),
);
const escaped = LEFT_OUT.map(([name]) => name.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
const names = `^(?!.*(?:${escaped.join("|")}))`;
const command = [process.execPath, "test", "--timeout", "60000", "--parallel=3", "-t", names];
const tests = Bun.spawn([...command, ...process.argv.slice(2), ...files], {
  cwd: join(import.meta.dir, "../.."),
  env: { ...process.env, TEST_ENGINE: "stream" },
  stdio: ["ignore", "inherit", "inherit"],
});
process.exit(await tests.exited);
