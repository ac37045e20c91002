/** On the real claude: a conversation survives when its claude, its plugin or its server is killed in a turn. */
import { expect, test } from "bun:test";
import { type ModelRequest, text, toolUse } from "../support/mock-anthropic.ts";
import { claudesOf, descendants, pluginsOf, waitForExit, withCommand } from "../support/processes.ts";
import { startServer } from "../support/server.ts";
import { ask, events, next, say, texts } from "../support/sse.ts";
import { createWorld, type World } from "../support/world.ts";

/** How often the model was shown each of these lines, in the newest request with the last line. */
function timesShown({ mock }: World, ...lines: string[]): number[] {
  const isNewest = ({ asked }: ModelRequest) => asked.includes(`\n${lines.at(-1)}\n`);
  const { shown } = mock.requests.findLast(isNewest) as ModelRequest;
  return lines.map((line) => shown.split(`\n${line}\n`).length - 1);
}
const claudeOf = ({ server }: World) => claudesOf(server.pid)[0] as number;
const pluginOf = ({ server }: World) => pluginsOf(server.pid)[0] as number;

/** Starts a turn in which claude runs a shell command that does not end. @returns its answer, and the command's pid */
async function runShell({ mock, server }: World): Promise<{ stream: AsyncGenerator<unknown>; shell: number }> {
  mock.on(/run a shell/, function* ({ toolResults }) {
    if (toolResults.length > 0) yield text("the shell is done");
    else {
      yield text("at work\n");
      yield toolUse("Bash", { command: `sleep 600; echo ${Date.now()}`, description: "Sleep" });
    }
  });
  const stream = events(await server.post(ask("run a shell")));
  let shell: number | undefined;
  while (shell === undefined) {
    [shell] = withCommand(descendants(server.pid), /^sleep 600/);
    await Bun.sleep(20);
  }
  return { stream, shell };
}

/** Starts a turn that has written one line, and writes the next when `finish` is called. */
async function writePoem({ mock, server }: World): Promise<{ poem: AsyncGenerator<string>; finish: () => void }> {
  const gate = Promise.withResolvers<void>();
  mock.on(/long poem/, async function* () {
    yield text("begun\n");
    await gate.promise;
    yield text("and done\n");
  });
  const poem = texts(await server.post(ask("long poem")));
  expect(await next(poem)).toBe("begun\n");
  return { poem, finish: gate.resolve };
}

test("when claude is killed, the client gets an error, the shell command ends, and the next turn resumes", async () => {
  await using world = await createWorld();
  await say(world.server, "one");
  const { stream, shell } = await runShell(world);
  process.kill(claudeOf(world), "SIGKILL");
  const rest = await Array.fromAsync(stream);
  expect(rest.slice(-2)).toEqual([{ error: expect.objectContaining({ code: "claude_exited" }) }, "[DONE]"]);
  await waitForExit([shell]);
  expect((await say(world.server, "two")).origin).toBe("resumed");
  expect(timesShown(world, "one", "run a shell", "two")).toEqual([1, 1, 1]);
});

test("when the plugin is killed, the turn is completed, and the next one is answered", async () => {
  await using world = await createWorld();
  await say(world.server, "one");
  const { poem, finish } = await writePoem(world);
  process.kill(pluginOf(world), "SIGKILL");
  finish();
  expect((await Array.fromAsync(poem)).join("")).toBe("and done\n");
  expect((await say(world.server, "two")).answer).toBe("You said: two");
  expect(timesShown(world, "one", "long poem", "two")).toEqual([1, 1, 1]);
});

test("when the server is killed, everything it started ends, and the next server resumes the conversation", async () => {
  await using world = await createWorld();
  await say(world.server, "one");
  const { shell } = await runShell(world);
  const pids = descendants(world.server.pid);
  await world.server.stop("SIGKILL");
  await waitForExit([...pids, shell]);
  const restarted = await startServer(world.serverEnv);
  expect((await say(restarted, "two")).origin).toBe("resumed");
  await restarted.stop();
  expect(timesShown(world, "one", "run a shell", "two")).toEqual([1, 1, 1]);
});

test("when plugin, server and claude are killed at the same time, everything ends", async () => {
  await using world = await createWorld();
  const { shell } = await runShell(world);
  const everything = [world.server.pid, ...descendants(world.server.pid), shell];
  for (const pid of [pluginOf(world), world.server.pid, claudeOf(world)]) process.kill(pid, "SIGKILL");
  await waitForExit(everything);
});

test("when the plugin's socket drops, the running turn is completed, and a message sent into the gap arrives once", async () => {
  await using world = await createWorld({ env: { SYNTHESIS_BRIDGE_PING_MS: "100" } });
  const { poem, finish } = await writePoem(world);
  const plugin = pluginOf(world);
  const drops = () => world.server.log().split("plugin silent").length - 1;
  process.kill(plugin, "SIGSTOP");
  while (drops() < 1) await Bun.sleep(10);
  process.kill(plugin, "SIGCONT");
  finish();
  expect((await Array.fromAsync(poem)).join("")).toBe("and done\n");
  expect(await say(world.server, "two")).toEqual({ answer: "You said: two", origin: "warm" });

  process.kill(plugin, "SIGSTOP");
  const before = drops();
  const once = say(world.server, "only once");
  while (drops() === before) await Bun.sleep(10);
  process.kill(plugin, "SIGCONT");
  expect((await once).answer).toBe("You said: only once");
  await say(world.server, "three");
  expect(timesShown(world, "two", "only once", "three")).toEqual([1, 1, 1]);
});
