/**
 * Runs the real OpenClaw under test: with its own home and state folder, its gateway, and its command line. All its
 * processes end with the test.
 */
import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { openClawIn } from "./openclaw-install.ts";
import { callGateway } from "./openclaw-rpc.ts";

/** The result of a command. */
interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface OpenClaw extends AsyncDisposable {
  readonly base: string;
  readonly configFile: string;
  /** The environment of every OpenClaw program. */
  readonly env: Record<string, string>;
  /** The path of the `openclaw` program, as `npm install -g` installs it. */
  readonly program: string;
  readonly config: () => Record<string, unknown>;
  /** Runs `openclaw <args>`. */
  run(...args: string[]): Promise<Outcome>;
  /** Starts or restarts the gateway, and waits until it answers. */
  startGateway(): Promise<void>;
  stopGateway(): Promise<void>;
  /** The process id of the shell that runs the gateway; 0 when none runs. */
  gatewayPid(): number;
  /** Runs a turn of the agent in the session key over the gateway's chat endpoint. @returns the answer */
  say(message: string, sessionKey: string): Promise<string>;
  /** Calls a method of the gateway's own protocol. */
  call<T = unknown>(method: string, params: object): Promise<T>;
  /** Sends a request to the gateway's chat endpoint. */
  chat(body: object, headers?: Record<string, string>, signal?: AbortSignal): Promise<Response>;
  /** The output of the gateway. */
  readonly log: () => string;
}

const TOKEN = "a-token-for-tests";

/**
 * A shell script that runs a program and ends its whole process group when the program exits, or when the test that
 * started the script exits: this closes the pipe that `cat` reads.
 */
const WITH_GROUP = '("$0" "$@" </dev/null; kill 0) & cat >/dev/null; kill 0';

/**
 * @param config the content of `openclaw.json` without the part of the gateway
 * @param more variables for OpenClaw's programs, which override the usual ones
 */
export async function createOpenClaw(
  config: Record<string, unknown>,
  more: Record<string, string> = {},
): Promise<OpenClaw> {
  const installed = process.env.SYNTHESIS_TEST_OPENCLAW;
  if (!installed) throw new Error("run these with `bun run test:openclaw`");
  const { node, script } = openClawIn(installed);
  const base = realpathSync(mkdtempSync(join(tmpdir(), "synthesis-openclaw-")));
  // OpenClaw keeps a folder `state` in it. If both had one name, it would take each change of that one for a change of its
  // skills, and load all of them again and again.
  const state = join(base, ".openclaw");
  const configFile = join(state, "openclaw.json");
  const port = freePort();
  mkdirSync(join(base, "home"));
  mkdirSync(state, { mode: 0o700 });
  const gatewayConfig = {
    mode: "local",
    port,
    bind: "loopback",
    auth: { mode: "token", token: TOKEN },
    http: { endpoints: { chatCompletions: { enabled: true } } },
  };
  writeFileSync(configFile, JSON.stringify({ ...config, gateway: gatewayConfig }, null, 2), { mode: 0o600 });
  const program = join(base, "openclaw");
  writeFileSync(program, `#!/bin/sh\nexec '${node}' '${script}' "$@"\n`, { mode: 0o755 });
  const env = {
    PATH: `${dirname(node)}:${process.env.PATH}`,
    HOME: join(base, "home"),
    OPENCLAW_STATE_DIR: state,
    OPENCLAW_NO_RESPAWN: "1",
    NO_COLOR: "1",
    ...more,
  };

  let gateway: Bun.Subprocess | null = null;
  let log = "";

  const run = async (...args: string[]): Promise<Outcome> => {
    const child = Bun.spawn([program, ...args], { cwd: base, env, stdin: "ignore", stdout: "pipe", stderr: "pipe" });
    const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
    return { code: await child.exited, stdout, stderr };
  };
  const stopGateway = async () => {
    if (!gateway) return;
    const { pid, exited } = gateway;
    signal(pid, "SIGTERM");
    const killTimer = setTimeout(() => signal(pid, "SIGKILL"), 10_000);
    await exited;
    clearTimeout(killTimer);
    // Other processes of its group may still run.
    signal(pid, "SIGKILL");
    gateway = null;
  };

  const chat = (body: object, headers: Record<string, string> = {}, signal?: AbortSignal) =>
    fetch(`http://127.0.0.1:${port}/v1/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Bearer ${TOKEN}`, ...headers },
      body: JSON.stringify({ model: "openclaw/main", ...body }),
      ...(signal ? { signal } : {}),
    });

  return {
    base,
    configFile,
    env,
    program,
    config: () => JSON.parse(readFileSync(configFile, "utf8")) as Record<string, unknown>,
    run,
    stopGateway,
    gatewayPid: () => gateway?.pid ?? 0,
    startGateway: async () => {
      await stopGateway();
      gateway = Bun.spawn(["sh", "-c", WITH_GROUP, program, "gateway", "run", "--port", `${port}`], {
        cwd: base,
        env,
        // The group ends when this pipe closes: see WITH_GROUP.
        stdin: "pipe",
        stdout: "pipe",
        stderr: "pipe",
        detached: true,
      });
      for (const stream of [gateway.stdout, gateway.stderr] as ReadableStream<Uint8Array>[]) {
        void (async () => {
          const decoder = new TextDecoder();
          for await (const bytes of stream) log += decoder.decode(bytes, { stream: true });
        })();
      }
      let hasExited = false;
      void gateway.exited.then(() => {
        hasExited = true;
      });
      while (!(await answers(`http://127.0.0.1:${port}/startupz`))) {
        if (hasExited) throw new Error(`the gateway exited:\n${log}`);
        await Bun.sleep(50);
      }
    },
    call: (method, params) => callGateway(port, TOKEN, method, params),
    chat,
    say: async (message, sessionKey) => {
      const agent = sessionKey.split(":")[1];
      const body = { model: `openclaw/${agent}`, messages: [{ role: "user", content: message }] };
      const response = await chat(body, { "x-openclaw-session-key": sessionKey });
      const answer = (await response.json()) as {
        choices?: { message: { content: string } }[];
        error?: { message: string };
      };
      if (answer.error) throw new Error(answer.error.message);
      return answer.choices?.[0]?.message.content ?? "";
    },
    log: () => log,
    [Symbol.asyncDispose]: async () => {
      await stopGateway();
      rmSync(base, { recursive: true, force: true });
    },
  };
}

/** A provider as `synthesis setup openclaw` would write it, but at another address. */
export const provider = (url: string, apiKey: string) => ({
  baseUrl: `${url}/v1`,
  apiKey,
  api: "openai-completions",
  timeoutSeconds: 3600,
  models: [
    {
      id: "synthesis-claude-bridge",
      name: "Claude Code",
      contextWindow: 200_000,
      maxTokens: 32_000,
      input: ["text", "image"],
      compat: { sendSessionAffinityHeaders: true, supportsPromptCacheKey: true },
    },
  ],
});

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(-pid, name);
  } catch (error) {
    // The whole group has exited already.
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

async function answers(url: string): Promise<boolean> {
  try {
    return (await fetch(url)).ok;
  } catch {
    // The gateway does not listen yet.
    return false;
  }
}

/** A free port, since OpenClaw cannot choose one itself. */
function freePort(): number {
  const server = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  const { port } = server;
  server.stop();
  return port;
}
