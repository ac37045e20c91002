/** The server under attack, with a stand-in claude, and what the checks measure of it. */
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createPauseFile, type PauseFile } from "../support/pauses.ts";
import { descendants, descriptors, withCommand } from "../support/processes.ts";
import { preloaded, startServer, type TestServer } from "../support/server.ts";
import { ask } from "../support/sse.ts";
import { createWorld, standInClaude } from "../support/world.ts";
import { Breach, must, within } from "./check.ts";

/** Part of every text that the suite sends. It must never be in a log. */
export const MARKER = "quibblewort";

/** How long the server may take for one response, in ms. Pauses are measured and have a bound of their own. */
export const RESPONSE_TIMEOUT_MS = 20_000;

/** The number of further attempts to start a server. Each attempt takes about two seconds. */
const RESTARTS = 6;

interface Secrets {
  readonly bridge: string;
  readonly hook: string;
}

export interface Usage {
  readonly timers: number;
  readonly descriptors: number;
  readonly processes: number;
  /** In MB, after a garbage collection. */
  readonly memory: number;
}

export interface Target extends AsyncDisposable {
  /** The server that runs now. */
  server(): TestServer;
  readonly state: string;
  readonly home: string;
  readonly controlKey: string;
  /** Sends a message in a conversation and reads the whole answer. */
  say(content: string, user: string): Promise<string>;
  /** The tokens of a conversation's process. Starts the process if none runs. */
  secrets(user: string): Promise<Secrets>;
  /** The longest pause of the event loop since the last call, in ms of CPU time. */
  longestPause(): Promise<number>;
  usage(): Promise<Usage>;
  /** Sets the shell script that runs in place of `claude --print`. The first one fails at once. */
  setOneShotScript(script: string): void;
  /** Deletes every conversation, as `synthesis sessions rm` does. */
  deleteAll(): Promise<void>;
  /** Everything that this and earlier servers have logged. */
  log(): string;
  /** All keys and tokens of this and earlier servers. */
  allSecrets(): string[];
  /** Starts another server if this one has exited or is stuck. @throws Breach in both cases */
  ensureAlive(): Promise<void>;
}

export async function openTarget(env: Record<string, string> = {}): Promise<Target> {
  const program = preloaded("record-pauses.ts", "count-timers.ts");
  let pauses: PauseFile | undefined;
  let standIns = "";
  let oneShotScript = "";
  const world = await createWorld({
    standIn: true,
    program,
    prepare: (claude) => {
      pauses = createPauseFile(join(claude.base, "pauses"));
      standIns = join(claude.base, "stand-ins");
      writeFileSync(standIns, "");
      oneShotScript = join(claude.base, "print.sh");
      writeFileSync(oneShotScript, "exit 1\n");
      // The stand-in can only be interactive, so a script answers one-shots.
      mkdirSync(join(claude.base, "bin"));
      const interactive = standInClaude(join(claude.base, "bin"));
      const script = `#!/bin/sh\n[ "$1" = --print ] && exec sh '${oneShotScript}'\nexec '${interactive}' "$@"\n`;
      writeFileSync(join(claude.base, "either"), script, { mode: 0o755 });
      claude.env.PATH = `${claude.base}/path:${claude.env.PATH}`;
      mkdirSync(join(claude.base, "path"));
      symlinkSync(join(claude.base, "either"), join(claude.base, "path/claude"));
      Object.assign(claude.env, pauses.env);
      claude.env.STAND_IN_ENV = standIns;
    },
    env: {
      SYNTHESIS_CLAUDE_BIN: "claude",
      SYNTHESIS_LOG_LEVEL: "info",
      SYNTHESIS_MAX_PROCESSES: "4",
      SYNTHESIS_PERMISSION_TIMEOUT_MS: "500",
      SYNTHESIS_DRAIN_MS: "1000",
      ...env,
    },
  });
  let { server } = world;
  let earlierLogs = "";
  let counted = 0;
  let ended: number | null = null;
  const watch = (one: TestServer) =>
    void one.exited.then((code) => {
      if (one === server) ended = code;
    });
  watch(server);
  // An interrupted suite must not leave its servers running.
  const end = () => void server.stop();
  process.on("exit", end);
  const state = join(world.claude.base, "state");

  const environments = () =>
    readFileSync(standIns, "utf8")
      .trim()
      .split("\n")
      .filter(Boolean)
      .map((line) => JSON.parse(line) as Record<string, string | undefined>);
  const health = () =>
    within(
      fetch(`${server.url}/health`).then((response) => response.text()),
      RESPONSE_TIMEOUT_MS,
      "GET /health answers",
    );
  const restart = async () => {
    earlierLogs += server.log();
    // After a kill the watchdog holds the lock of the state folder for some seconds, while it cleans up.
    for (let tries = 0; ; tries += 1) {
      try {
        server = await startServer(world.serverEnv, program);
        break;
      } catch (error) {
        if (tries === RESTARTS) throw error;
      }
    }
    ended = null;
    counted = 0;
    watch(server);
    // Drops the pauses of the start, which no request has caused.
    await target.longestPause();
  };
  const known = new Map<string, Secrets>();
  const isKnown = async ({ hook }: Secrets) => {
    const headers = { authorization: `Bearer ${hook}`, "content-type": "application/json" };
    const asked = fetch(`${server.url}/hooks`, { method: "POST", headers, body: "{}" });
    return (await within(asked, RESPONSE_TIMEOUT_MS, "POST /hooks answers")).status !== 401;
  };
  const control = async (path: string, method: string) => {
    const headers = { authorization: `Bearer ${target.controlKey}` };
    const asked = fetch(`${server.url}/v1/sessions${path}`, { method, headers });
    return (await within(asked, RESPONSE_TIMEOUT_MS, `${method} ${path} answers`)).text();
  };

  const target: Target = {
    server: () => server,
    state,
    home: world.claude.home,
    controlKey: readFileSync(join(state, "control.key"), "utf8").trim(),
    say: async (content, user) => {
      const asked = server.post(ask(`${content} ${MARKER}`, { user, stream: false }));
      const response = await within(asked, RESPONSE_TIMEOUT_MS, `an answer to a plain message of ${user}`);
      const body = await response.text();
      if (!response.ok) throw new Breach(`a plain message was answered with ${response.status}: ${body.slice(0, 300)}`);
      return JSON.parse(body).choices[0].message.content;
    },
    secrets: async (user) => {
      const before = known.get(user);
      if (before && (await isKnown(before))) return before;
      // Starts a new conversation, so that earlier attacks on this one do not matter.
      await control(`/user%3A${user}`, "DELETE");
      await target.say("hello", user);
      const found = environments().findLast((one) => one.SYNTHESIS_OPENCLAW_SESSION === `user:${user}`);
      const { SYNTHESIS_BRIDGE_TOKEN: bridge, SYNTHESIS_HOOK_TOKEN: hook } = found ?? {};
      if (!bridge || !hook) throw new Error(`the stand-in of ${user} has written no tokens to STAND_IN_ENV`);
      const secrets = { bridge, hook };
      known.set(user, secrets);
      return secrets;
    },
    longestPause: async () => {
      // The recorder's timer is overdue after a pause, and has run when the server answers for the second time.
      await health();
      await health();
      return pauses?.longest() ?? 0;
    },
    usage: async () => {
      counted += 1;
      process.kill(server.pid, "SIGUSR2");
      const line = await within(
        server.logged(new RegExp(`^count ${counted}:`)),
        RESPONSE_TIMEOUT_MS,
        "the server counts",
      );
      return {
        timers: Number(/(\d+) timers/.exec(line)?.[1]),
        descriptors: descriptors(server.pid),
        processes: withCommand(descendants(server.pid), /stand-in-claude/).length,
        memory: Number(/(\d+) MB/.exec(line)?.[1]),
      };
    },
    deleteAll: async () => {
      const { data } = JSON.parse(await control("", "GET")) as { data: { key: string }[] };
      for (const { key } of data) await control(`/${encodeURIComponent(key)}`, "DELETE");
    },
    setOneShotScript: (script) => writeFileSync(oneShotScript, `${script}\n`),
    log: () => earlierLogs + server.log(),
    allSecrets: () =>
      [
        server.key,
        target.controlKey,
        ...environments().flatMap((one) => [one.SYNTHESIS_BRIDGE_TOKEN, one.SYNTHESIS_HOOK_TOKEN].filter((x) => !!x)),
      ] as string[],
    ensureAlive: async () => {
      // An exit is reported a moment after the connections have dropped.
      if (ended === null) await health().catch(() => {});
      if (ended !== null) {
        const code = ended;
        const last = server.log().trim().split("\n").slice(-3).join("\n").slice(-600);
        await restart();
        throw new Breach(`the server ended with ${code}: ${last}`);
      }
      try {
        await health();
      } catch (error) {
        if (!(error instanceof Breach)) throw error;
        // The server is stuck. The next checks need one that answers.
        await server.stop("SIGKILL");
        await restart();
        throw new Breach(`the server no longer responds: ${error.message}`);
      }
    },
    [Symbol.asyncDispose]: async () => {
      process.off("exit", end);
      await within(server.stop(), RESPONSE_TIMEOUT_MS, "the server ends").catch(() => server.stop("SIGKILL"));
      await world.mock.stop();
      world.claude.remove();
    },
  };
  must((await target.say("hello", "rest")).includes("You said"), "the stand-in answers");
  return target;
}
