/** A server that a package runner started ends with it, and no other server does. */
import { describe, expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { userInfo } from "node:os";
import { join } from "node:path";
import { name } from "../../package.json";
import { type ProcessTable, packageRunner } from "../../src/cli/package-runner.ts";
import { createClaudeHome } from "../support/claude-home.ts";
import { descendants, waitForExit, withCommand } from "../support/processes.ts";
import { standInClaude } from "../support/world.ts";

const ran = { npm_lifecycle_event: "start", npm_package_name: name };

/** The server is 100, and each next process is the parent of the one before it. */
function tableOf(...commands: string[]): ProcessTable {
  const pids = [100, ...commands.map((_command, index) => 99 - index)];
  return {
    parent: (pid) => pids[pids.indexOf(pid) + 1] ?? 1,
    command: (pid) => (pid === 100 ? "bun src/main.ts" : (commands[99 - pid] ?? "/sbin/init")),
  };
}

describe("the processes that are watched", () => {
  const cases: [what: string, env: Record<string, string>, above: string[], watched: number[]][] = [
    [
      "npx, its shell and bun, but not the user's shell",
      ran,
      ["bun run start", "sh -c 'bun' run start", "npm exec bun@1.4.5 run start", "-zsh"],
      [99, 98, 97],
    ],
    ["npx whose shell gave way to bun", ran, ["bun run start", "npm exec bun@1.4.5 run start", "bash"], [99, 98]],
    [
      "npx as a script of node",
      ran,
      ["/home/me/bun run start", "/bin/sh -c bun run start", "node /usr/bin/npx -y bun@1.4.5 run start"],
      [99, 98, 97],
    ],
    ["npm and its shell", ran, ["sh -c bun src/main.ts", "npm start", "/lib/systemd/systemd --user"], [99, 98]],
    ["bun alone", ran, ["bun run start", "-bash", "tmux: server"], [99]],
    [
      "not a shell that starts a server and leaves",
      ran,
      ["bun run start", "bash -c nohup bun run start &", "sshd: me"],
      [99],
    ],
    [
      "not what starts npx and leaves",
      ran,
      [
        "bun run start",
        "sh -c 'bun' run start",
        "npm exec bun@1.4.5 run start",
        "sh -c setsid npx -y bun run start",
        "npm",
      ],
      [99, 98, 97],
    ],
    ["nothing for a server whose parent has ended", ran, [], []],
    ["nothing without a package runner", {}, ["-bash"], []],
    ["nothing in the terminal of a program that npm started", { ...ran, npm_package_name: "editor" }, ["-bash"], []],
    ["nothing for a server that another script starts", { ...ran, npm_lifecycle_event: "deploy" }, ["sh -c x"], []],
  ];
  test.each(cases)("%s", (_what, env, above, watched) => {
    const links = packageRunner(100, env, tableOf(...above));
    expect(links.map(({ parent }) => parent)).toEqual(watched);
    expect(links.map(({ child }) => child)).toEqual([100, ...watched].slice(0, watched.length));
  });
});

test.each(["SIGTERM", "SIGKILL"] as const)(
  "%s to `npx -y bun@1.4.5 run start` ends the server and its claudes",
  async (signal) => {
    const { NODE_EXTRA_CA_CERTS } = process.env;
    const key = "key-of-this-test-only";
    const root = join(import.meta.dir, "../..");
    const home = createClaudeHome({ api: "http://127.0.0.1:9" });
    // As in our own package.json, but for the installation, which would take this one's development dependencies.
    const project = join(home.base, "project");
    mkdirSync(project);
    const start = `bun '${join(root, "src/main.ts")}'`;
    writeFileSync(join(project, "package.json"), JSON.stringify({ name, scripts: { start } }));
    const npx = Bun.spawn(["npx", "-y", "bun@1.4.5", "run", "start"], {
      cwd: project,
      env: {
        ...home.env,
        // Bun is fetched the first time only, the way that the user of this machine fetches packages.
        npm_config_cache: join(root, "node_modules/.cache/npm"),
        npm_config_userconfig: join(userInfo().homedir, ".npmrc"),
        ...(NODE_EXTRA_CA_CERTS ? { NODE_EXTRA_CA_CERTS } : {}),
        SYNTHESIS_HOME: join(home.base, "state"),
        SYNTHESIS_WORKSPACE: home.workspace,
        SYNTHESIS_CLAUDE_BIN: standInClaude(home.base),
        SYNTHESIS_API_KEY: key,
        SYNTHESIS_BRIDGE_PORT: "0",
      },
      stdin: "ignore",
      stdout: "pipe",
      stderr: "ignore",
    });
    const url = await listensAt(npx.stdout);
    const answer = await fetch(`${url}/v1/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json", "x-api-key": key },
      body: JSON.stringify({ user: "me", messages: [{ role: "user", content: "hello" }] }),
    });
    expect(answer.status).toBe(200);
    const pids = descendants(npx.pid);
    expect(withCommand(pids, /main\.ts$/)).toHaveLength(1);
    // While it is started a fork of the server may show the same command line.
    expect(withCommand(pids, /stand-in-claude/)).not.toHaveLength(0);
    npx.kill(signal);
    await waitForExit(pids);
    home.remove();
  },
  120_000,
);

async function listensAt(stdout: ReadableStream<Uint8Array>): Promise<string> {
  const decoder = new TextDecoder();
  let printed = "";
  for await (const bytes of stdout) {
    printed += decoder.decode(bytes, { stream: true });
    const url = /listens on (http:\S+)\/v1/.exec(printed)?.[1];
    if (url) return url;
  }
  throw new Error(`the server did not start:\n${printed}`);
}
