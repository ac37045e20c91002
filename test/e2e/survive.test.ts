/** A conversation outlives whatever happens to its claude, its plugin and its server. */
import { afterEach, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { at, control } from "../support/control.ts";
import { apiError, type ModelRequest, text, toolUse } from "../support/mock-anthropic.ts";
import { descendants, waitForExit, withCommand } from "../support/processes.ts";
import { PROGRAM, REAL_CLAUDE, startServer } from "../support/server.ts";
import { ask, events, next, texts } from "../support/sse.ts";
import { createWorld, type World, type WorldOptions } from "../support/world.ts";

let world: World;
afterEach(() => world[Symbol.asyncDispose]());
const begin = async (options: WorldOptions = {}) => {
  world = await createWorld(options);
};

/** Says something and gives the answer, how its claude was found, and what the model was shown. */
async function say(content: string, user = "me", server = world.server) {
  const response = await server.post(ask(content, { user }));
  const answer = (await Array.fromAsync(texts(response))).join("");
  const shown = world.mock.requests.findLast(({ asked }) => asked.includes(`\n${content}\n`)) as ModelRequest;
  return { answer, found: response.headers.get("x-synthesis-process"), shown: shown.shown };
}
/** How often each of these was said in what the model was shown. */
const times = (shown: string, ...words: string[]) => words.map((word) => shown.split(`\n${word}\n`).length - 1);
const claudePid = () => withCommand(descendants(world.server.pid), /bin\/claude\b/)[0] as number;
const pluginPid = () => withCommand(descendants(world.server.pid), / channel$/)[0] as number;

describe("the model is shown every earlier message once", () => {
  test("after an idle kill", async () => {
    await begin({ env: { SYNTHESIS_IDLE_KILL_MS: "300" } });
    await say("one");
    await world.server.logged(/claude exited/);
    const { answer, found, shown } = await say("two");
    expect([answer, found]).toEqual(["You said: two", "resumed"]);
    expect(times(shown, "one", "two")).toEqual([1, 1]);
    expect(shown).toContain("You said: one");
  });

  test("after an idle kill, when it talks of claude's own dialogs", async () => {
    await begin({ env: { SYNTHESIS_IDLE_KILL_MS: "300" } });
    const words = "Let's get started. Bypass Permissions mode. Not logged in · run /login. Quick safety check";
    await say(words);
    await world.server.logged(/claude exited/);
    const { answer, found } = await say("two");
    expect([answer, found]).toEqual(["You said: two", "resumed"]);
  });

  test("after others needed its place", async () => {
    await begin({ env: { SYNTHESIS_MAX_PROCESSES: "1" } });
    await say("one", "a");
    expect((await say("uno", "b")).found).toBe("cold");
    const { found, shown } = await say("two", "a");
    expect(found).toBe("resumed");
    expect(times(shown, "one", "two", "uno")).toEqual([1, 1, 0]);
  });

  test("after a restart of the server, in another workspace too", async () => {
    await begin();
    await say("one");
    await world.server.stop();
    const again = await startServer({
      ...world.claude.env,
      SYNTHESIS_HOME: join(world.claude.base, "state"),
      SYNTHESIS_WORKSPACE: join(world.claude.base, "elsewhere"),
      SYNTHESIS_CLAUDE_BIN: REAL_CLAUDE,
    });
    const { found, shown } = await say("two", "me", again);
    await again.stop();
    expect(found).toBe("resumed");
    expect(times(shown, "one", "two")).toEqual([1, 1]);
  });

  test("and is told when claude's own record is gone", async () => {
    await begin({ env: { SYNTHESIS_IDLE_KILL_MS: "300" } });
    await say("one");
    await world.server.logged(/claude exited/);
    await Bun.$`rm -r ${world.claude.home}/.claude/projects`.quiet();
    const { answer, found } = await say("two");
    expect(found).toBe("cold");
    expect(answer).toMatch(/^\[synthesis: Claude Code's record of this conversation is missing.*\]\n\nYou said: two$/);
  });
});

test("a record that claude cannot read does not lock its conversation out", async () => {
  await begin({ env: { SYNTHESIS_IDLE_KILL_MS: "300" } });
  await say("one");
  await world.server.logged(/claude exited/);
  await Bun.$`truncate -s 0 ${world.claude.home}/.claude/projects/${{ raw: "*/*.jsonl" }}`.quiet();
  const { answer, found } = await say("two");
  expect(found).toBe("cold");
  expect(answer).toMatch(/record of this conversation is missing.*\n\nYou said: two$/);
  expect((await say("three")).shown).toContain("You said: two");
});

test("nor is anything said of such a record when nothing in it was ever answered", async () => {
  await begin();
  const { poem } = await longPoem();
  const records = () => [...new Bun.Glob("projects/*/*.jsonl").scanSync(`${world.claude.home}/.claude`)];
  while (records().length === 0) await Bun.sleep(20);
  process.kill(claudePid(), "SIGKILL");
  await Array.fromAsync(poem).catch(() => {});
  await Bun.$`truncate -s 0 ${world.claude.home}/.claude/projects/${{ raw: "*/*.jsonl" }}`.quiet();
  expect((await say("two")).answer).toBe("You said: two");
});

/** A turn that has written a line and now runs a shell command. */
async function shellTurn(): Promise<{ events: AsyncGenerator<unknown>; sleeper: number }> {
  world.mock.on(/run a shell/, function* ({ toolResults }) {
    if (toolResults.length > 0) yield text("the shell is done");
    else {
      yield text("at work\n");
      yield toolUse("Bash", { command: `sleep 600; echo ${Date.now()}`, description: "Sleep" });
    }
  });
  const stream = events(await world.server.post(ask("run a shell", { user: "me" })));
  let sleeper: number | undefined;
  while (sleeper === undefined) {
    [sleeper] = withCommand(descendants(world.server.pid), /^sleep 600/);
    await Bun.sleep(20);
  }
  return { events: stream, sleeper };
}

/** A turn that has written a line, and writes the next when it is told to. */
async function longPoem(): Promise<{ poem: AsyncGenerator<string>; finish: () => void }> {
  const gate = Promise.withResolvers<void>();
  world.mock.on(/long poem/, async function* () {
    yield text("begun\n");
    await gate.promise;
    yield text("and done\n");
  });
  const poem = texts(await world.server.post(ask("long poem", { user: "me" })));
  expect(await next(poem)).toBe("begun\n");
  return { poem, finish: gate.resolve };
}

describe("in the middle of a turn", () => {
  test("SIGKILL of claude is told, leaves no shell behind, and the next turn resumes", async () => {
    await begin();
    await say("one");
    const { events: stream, sleeper } = await shellTurn();
    process.kill(claudePid(), "SIGKILL");
    const rest = await Array.fromAsync(stream);
    expect(rest.slice(-2)).toEqual([{ error: expect.objectContaining({ code: "claude_exited" }) }, "[DONE]"]);
    await waitForExit([sleeper]);
    const { found, shown } = await say("two");
    expect(found).toBe("resumed");
    expect(times(shown, "one", "run a shell", "two")).toEqual([1, 1, 1]);
  });

  test("SIGKILL of the plugin does not harm the turn, and the next one works", async () => {
    await begin();
    await say("one");
    const { poem, finish } = await longPoem();
    process.kill(pluginPid(), "SIGKILL");
    finish();
    expect((await Array.fromAsync(poem)).join("")).toBe("and done\n");
    const { answer, shown } = await say("two");
    expect(answer).toBe("You said: two");
    expect(times(shown, "one", "long poem", "two")).toEqual([1, 1, 1]);
  });

  test("SIGKILL of the server: the turn is lost, the conversation is not", async () => {
    await begin();
    await say("one");
    const { sleeper } = await shellTurn();
    const pids = descendants(world.server.pid);
    await world.server.stop("SIGKILL");
    await waitForExit([...pids, sleeper]);
    const again = await startServer({
      ...world.claude.env,
      SYNTHESIS_HOME: join(world.claude.base, "state"),
      SYNTHESIS_WORKSPACE: world.claude.workspace,
      SYNTHESIS_CLAUDE_BIN: REAL_CLAUDE,
    });
    const { found, shown } = await say("two", "me", again);
    await again.stop();
    expect(found).toBe("resumed");
    expect(times(shown, "one", "run a shell", "two")).toEqual([1, 1, 1]);
  });

  test.each([
    { order: ["server", "claude", "plugin"] },
    { order: ["claude", "server"] },
    { order: ["plugin", "server", "claude"] },
  ] as const)("killed at once they leave nothing behind: $order", async ({ order }) => {
    await begin();
    const { sleeper } = await shellTurn();
    const everything = [world.server.pid, ...descendants(world.server.pid), sleeper];
    const pids = { server: world.server.pid, claude: claudePid(), plugin: pluginPid() };
    for (const who of order) process.kill(pids[who], "SIGKILL");
    await waitForExit(everything);
  });

  test("a socket that drops comes back, and the turn and the next are whole", async () => {
    await begin({ env: { SYNTHESIS_BRIDGE_PING_MS: "100" } });
    const { poem, finish } = await longPoem();
    const plugin = pluginPid();
    process.kill(plugin, "SIGSTOP");
    await world.server.logged(/plugin silent/);
    process.kill(plugin, "SIGCONT");
    finish();
    expect((await Array.fromAsync(poem)).join("")).toBe("and done\n");
    const { answer, found } = await say("two");
    expect([answer, found]).toEqual(["You said: two", "warm"]);
  });

  test("a socket that drops with the message in it: the message is taken once", async () => {
    await begin({ env: { SYNTHESIS_BRIDGE_PING_MS: "100" } });
    await say("one");
    const plugin = pluginPid();
    process.kill(plugin, "SIGSTOP");
    const answer = say("only once");
    await world.server.logged(/plugin silent/);
    process.kill(plugin, "SIGCONT");
    expect((await answer).answer).toBe("You said: only once");
    const { shown } = await say("two");
    expect(times(shown, "one", "only once", "two")).toEqual([1, 1, 1]);
  });
});

describe("a client that leaves stops the model; the same claude takes the next turn", () => {
  const whileIt = {
    "text streams": async function* () {
      for (let line = 0; ; line += 1) {
        yield text(`abandoned ${line}\n`);
        await Bun.sleep(10);
      }
    },
    "a shell runs": function* () {
      yield text("abandoned\n");
      yield toolUse("Bash", { command: "sleep 600", description: "Sleep" });
    },
    "the API is retried": function* () {
      yield apiError(529, "overloaded_error", "abandoned");
    },
    "the model is silent": async function* ({ closed }: ModelRequest) {
      await closed;
      yield text("abandoned");
    },
  };

  test.each(Object.keys(whileIt) as (keyof typeof whileIt)[])("while %s", async (what) => {
    await begin();
    await say("one");
    const pid = claudePid();
    for (let round = 0; round < 3; round += 1) {
      const question = `leave ${round}`;
      world.mock.on(new RegExp(`\n${question}\n`), whileIt[what]);
      const leaving = new AbortController();
      const response = world.server.post(ask(question, { user: "me" }), {}, leaving.signal);
      response.catch(() => {});
      const request = await world.mock.request(new RegExp(`\n${question}\n`));
      if (what === "text streams" || what === "a shell runs") await next(texts(await response));
      leaving.abort();
      const { answer, found } = await say(`stay ${round}`);
      expect([answer, found]).toEqual([`You said: stay ${round}`, "warm"]);
      if (what === "text streams" || what === "the model is silent") expect(await request.closed).toBe("aborted");
    }
    expect(claudePid()).toBe(pid);
    expect(withCommand(descendants(world.server.pid), /^sleep 600/)).toEqual([]);
  });

  test("before anything was sent: nothing is", async () => {
    await begin();
    const leaving = new AbortController();
    const response = world.server.post(ask("never mind", { user: "me" }), {}, leaving.signal);
    response.catch(() => {});
    await world.server.logged(/claude started/);
    leaving.abort();
    const { answer, found, shown } = await say("hello");
    // Its start is not wasted.
    expect([answer, found]).toEqual(["You said: hello", "warm"]);
    expect(times(shown, "never mind")).toEqual([0]);
  });

  test("while it waits behind another: it is not sent", async () => {
    await begin();
    const gate = Promise.withResolvers<void>();
    world.mock.on(/hold on/, async function* () {
      yield text("held\n");
      await gate.promise;
    });
    const first = texts(await world.server.post(ask("hold on", { user: "me" })));
    await next(first);
    const leaving = new AbortController();
    const queued = world.server.post(ask("never mind", { user: "me" }), {}, leaving.signal);
    queued.catch(() => {});
    const waiting = async () => ((await (await control(world, at("user:me"))).json()) as { waiting: number }).waiting;
    while ((await waiting()) !== 1) await Bun.sleep(10);
    leaving.abort();
    gate.resolve();
    await Array.fromAsync(first);
    expect(times((await say("hello")).shown, "never mind", "hold on")).toEqual([0, 1]);
  });
});

describe("a server that is stopped", () => {
  const held = async () => {
    const gate = Promise.withResolvers<void>();
    world.mock.on(/hold on/, async function* () {
      yield text("held\n");
      await gate.promise;
      yield text("and done");
    });
    const stream = events(await world.server.post(ask("hold on", { user: "me" })));
    const queued = world.server.post(ask("wait", { user: "me", stream: false }));
    const seen: unknown[] = [];
    for (let held = false; !held; ) {
      const event = await next(stream);
      seen.push(event);
      held = JSON.stringify(event).includes("held");
    }
    return { gate, stream, queued };
  };

  test("lets the turn that runs end, and turns the others away", async () => {
    await begin();
    const { gate, stream, queued } = await held();
    const exited = world.server.stop();
    expect((await queued).status).toBe(503);
    const late = await world.server.post(ask("too late", { user: "other" }));
    expect([late.status, ((await late.json()) as { error: { code: string } }).error.code]).toEqual([
      503,
      "shutting_down",
    ]);
    gate.resolve();
    const rest = await Array.fromAsync(stream);
    expect(JSON.stringify(rest)).toContain("and done");
    expect(rest.at(-1)).toBe("[DONE]");
    expect(await exited).toBe(0);
  });

  test("ends a turn that takes too long, and says so", async () => {
    await begin({ env: { SYNTHESIS_DRAIN_MS: "200" } });
    const { stream } = await held();
    const pids = descendants(world.server.pid);
    const exited = world.server.stop();
    const rest = await Array.fromAsync(stream);
    expect(rest.slice(-2)).toEqual([{ error: expect.objectContaining({ code: "shutting_down" }) }, "[DONE]"]);
    expect(await exited).toBe(0);
    await waitForExit(pids);
  });

  test("ends at once when it is told twice", async () => {
    await begin();
    await held();
    const pids = descendants(world.server.pid);
    void world.server.stop();
    await world.server.logged(/shutting down/);
    // Ctrl-C may reach the server twice at once; only a later one is a second one.
    while ((await Promise.race([world.server.stop(), Bun.sleep(100)])) === undefined);
    expect(await world.server.exited).toBe(1);
    await waitForExit(pids);
  });
});

test("a login that expires is told in the answer and on /health", async () => {
  await begin();
  const login = async () => ((await (await fetch(`${world.server.url}/health`)).json()) as { login: string }).login;
  expect(await login()).toBe("unknown");
  await say("one");
  expect(await login()).toBe("ok");
  let expired = true;
  world.mock.on(/two/, function* () {
    if (expired) yield apiError(401, "authentication_error", "expired");
    else yield text("back");
  });
  const answer = await world.server.post(ask("two", { user: "me", stream: false }));
  expect(await answer.json()).toMatchObject({ error: { code: "claude_not_logged_in" } });
  expect(await login()).toBe("expired");
  expired = false;
  await say("and two");
  expect(await login()).toBe("ok");
});

test("a second server on the same folder is told who has it", async () => {
  await begin();
  const second = Bun.spawn([...PROGRAM], {
    env: { ...world.claude.env, SYNTHESIS_HOME: join(world.claude.base, "state"), SYNTHESIS_BRIDGE_PORT: "0" },
    stderr: "pipe",
  });
  expect(await second.exited).toBe(2);
  expect(await second.stderr.text()).toContain(
    `Another synthesis (pid ${world.server.pid}, port ${new URL(world.server.url).port})`,
  );
  // A killed one leaves no lock behind.
  await world.server.stop("SIGKILL");
  const third = await startServer({ ...world.claude.env, SYNTHESIS_HOME: join(world.claude.base, "state") });
  expect(await third.stop()).toBe(0);
});

test("forty conversations over four processes, each with its own memory", async () => {
  await begin({ env: { SYNTHESIS_MAX_PROCESSES: "4" } });
  const users = Array.from({ length: 40 }, (_, user) => `user${user}`);
  const first = await Promise.all(users.map((user) => say(`first of ${user}`, user)));
  expect(first.map(({ answer }) => answer)).toEqual(users.map((user) => `You said: first of ${user}`));
  expect(withCommand(descendants(world.server.pid), /bin\/claude\b/).length).toBeLessThanOrEqual(4);
  const again = await Promise.all(users.slice(0, 10).map((user) => say(`second of ${user}`, user)));
  again.forEach(({ answer, shown }, index) => {
    expect(answer).toBe(`You said: second of ${users[index]}`);
    expect(times(shown, `first of ${users[index]}`, `second of ${users[index]}`)).toEqual([1, 1]);
    expect(shown.match(/\nfirst of /g)).toHaveLength(1);
  });
}, 240_000);
