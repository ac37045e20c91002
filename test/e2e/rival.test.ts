/** On the real claude: a Claude session has one process, also when a person opens it in a terminal. */
import { afterEach, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { control } from "../support/control.ts";
import type { ModelRequest } from "../support/mock-anthropic.ts";
import { claudesOf } from "../support/processes.ts";
import { REAL_CLAUDE, startServer } from "../support/server.ts";
import { ask, texts } from "../support/sse.ts";
import { createWorld, type World } from "../support/world.ts";

let world: World;
afterEach(() => world[Symbol.asyncDispose]());

const say = async (content: string, server = world.server) => {
  // The usage comes from the transcript, so the transcript is complete when the answer ends.
  const response = await server.post(ask(content, { stream_options: { include_usage: true } }));
  const found = response.headers.get("x-synthesis-process");
  return { found, answer: (await Array.fromAsync(texts(response))).join("") };
};
const shownWith = (content: string) =>
  world.mock.requests.findLast(({ asked }) => asked.includes(`\n${content}\n`)) as ModelRequest;
const refused = async (server = world.server) => {
  const response = await server.post(ask("hello?"));
  const { error } = (await response.json()) as { error: { code: string; message: string } };
  return { status: response.status, retry: response.headers.get("retry-after"), ...error };
};

test("refuses turns while a session is open in a terminal, and resumes it afterwards", async () => {
  world = await createWorld();
  await say("one");
  const { data } = (await (await control(world, "")).json()) as { data: { claude_session: string }[] };
  const session = data[0]?.claude_session as string;
  const terminal = Bun.spawn([REAL_CLAUDE, "--resume", session], {
    cwd: world.claude.workspace,
    env: world.claude.env,
    terminal: { cols: 120, rows: 40, data() {} },
  });
  await world.server.logged(/another claude has opened this session/);
  const first = await refused();
  expect(first).toMatchObject({ status: 503, retry: "30", code: "session_in_use" });
  expect(first.message).toContain(`pid ${terminal.pid}`);

  // A server that has never run this session finds it in use, too.
  await world.server.stop();
  const again = await startServer(world.serverEnv);
  expect(await refused(again)).toMatchObject({ status: 503, code: "session_in_use" });

  terminal.kill();
  await terminal.exited;
  expect(await say("two", again)).toEqual({ found: "resumed", answer: "You said: two" });
  expect(shownWith("two").shown).toContain("\none\n");
  await again.stop();
});

test("resumes the session of a killed claude, although its session file still exists", async () => {
  world = await createWorld();
  await say("one");
  await say("two");
  const [pid] = claudesOf(world.server.pid);
  process.kill(pid as number, "SIGKILL");
  await world.server.logged(/claude exited/);
  expect(existsSync(join(world.claude.home, `.claude/sessions/${pid}.json`))).toBe(true);
  expect(await say("three")).toEqual({ found: "resumed", answer: "You said: three" });
});
