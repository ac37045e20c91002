/** A server that a package runner started stops when the runner exits. Other servers keep running. */
import { describe, expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { userInfo } from "node:os";
import { join } from "node:path";
import { name } from "../../package.json";
import { type ProcessTable, packageRunner } from "../../src/cli/package-runner.ts";
import { createClaudeHome } from "../support/claude-home.ts";
import { descendants, waitForExit, withCommand } from "../support/processes.ts";
import { standInClaude } from "../support/world.ts";

const startedByNpm = { npm_lifecycle_event: "start", npm_package_name: name };

/** A table in which the server has the pid 100, and each command belongs to the parent of the process before it. */
function tableOf(...commands: string[]): ProcessTable {
  const pids = [100, ...commands.map((_command, index) => 99 - index)];
  return {
    parent: (pid) => pids[pids.indexOf(pid) + 1] ?? 1,
    command: (pid) => (pid === 100 ? "bun src/main.ts" : (commands[99 - pid] ?? "/sbin/init")),
  };
}

describe("watches", () => {
  const cases: [what: string, env: Record<string, string>, above: string[], watched: number[]][] = [
    [
      "npx, its shell and bun, but not the user's shell",
      startedByNpm,
      ["bun run start", "sh -c 'bun' run start", "npm exec bun@1.4.5 run start", "-zsh"],
      [99, 98, 97],
    ],
    [
      "npx whose shell gave way to bun",
      startedByNpm,
      ["bun run start", "npm exec bun@1.4.5 run start", "bash"],
      [99, 98],
    ],
    [
      "npx as a script of node",
      startedByNpm,
      ["/home/me/bun run start", "/bin/sh -c bun run start", "node /usr/bin/npx -y bun@1.4.5 run start"],
      [99, 98, 97],
    ],
    [
      "npm and its shell",
      startedByNpm,
      ["sh -c bun src/main.ts", "npm start", "/lib/systemd/systemd --user"],
      [99, 98],
    ],
    ["bun alone", startedByNpm, ["bun run start", "-bash", "tmux: server"], [99]],
    [
      "bun, but not a shell that starts a server and exits",
      startedByNpm,
      ["bun run start", "bash -c nohup bun run start &", "sshd: me"],
      [99],
    ],
    [
      "npx, but not the program that starts npx and exits",
      startedByNpm,
      [
        "bun run start",
        "sh -c 'bun' run start",
        "npm exec bun@1.4.5 run start",
        "sh -c setsid npx -y bun run start",
        "npm",
      ],
      [99, 98, 97],
    ],
    [
      "the launcher of the npm package, but not the user's shell",
      { SYNTHESIS_LAUNCHER_PID: "99" },
      ["node /usr/bin/synthesis", "-bash"],
      [99],
    ],
    [
      "the launcher, npx and its shell",
      { SYNTHESIS_LAUNCHER_PID: "99", npm_lifecycle_event: "npx" },
      ["node /home/me/.npm/_npx/1/node_modules/.bin/synthesis", "sh -c synthesis", "npm exec @a/synthesis", "-zsh"],
      [99, 98, 97],
    ],
    [
      "the launcher, and npx whose shell gave way to it",
      { SYNTHESIS_LAUNCHER_PID: "99", npm_lifecycle_event: "npx" },
      ["node /home/me/.npm/_npx/1/node_modules/.bin/synthesis", "npm exec @a/synthesis", "-zsh"],
      [99, 98],
    ],
    [
      "the launcher alone in the terminal of a program that npx started",
      { SYNTHESIS_LAUNCHER_PID: "99", npm_lifecycle_event: "npx" },
      ["node /usr/bin/synthesis", "-bash", "editor", "npm exec editor"],
      [99],
    ],
    [
      "nothing for a program that the launcher's server starts",
      { SYNTHESIS_LAUNCHER_PID: "42", npm_lifecycle_event: "npx" },
      ["/bin/bash -c synthesis sessions", "claude"],
      [],
    ],
    ["nothing when the parent has exited", startedByNpm, [], []],
    ["nothing without a package runner", {}, ["-bash"], []],
    [
      "nothing in the terminal of a program that npm started",
      { ...startedByNpm, npm_package_name: "editor" },
      ["-bash"],
      [],
    ],
    [
      "nothing for a server that another script starts",
      { ...startedByNpm, npm_lifecycle_event: "deploy" },
      ["sh -c x"],
      [],
    ],
  ];
  test.each(cases)("%s", (_what, env, above, watched) => {
    const links = packageRunner(100, env, tableOf(...above));
    expect(links.map(({ parent }) => parent)).toEqual(watched);
    expect(links.map(({ child }) => child)).toEqual([100, ...watched].slice(0, watched.length));
  });
});

test.each(["SIGTERM", "SIGKILL"] as const)(
  "%s to `npx -y bun@1.4.5 run start` stops the server and its agent processes",
  async (signal) => {
    const { NODE_EXTRA_CA_CERTS } = process.env;
    const key = "key-of-this-test-only";
    const root = join(import.meta.dir, "../..");
    const home = createClaudeHome({ api: "http://127.0.0.1:9" });
    // The same start script as in our package.json, without the installation before it, which would remove our
    // development dependencies.
    const project = join(home.base, "project");
    mkdirSync(project);
    const start = `bun '${join(root, "src/main.ts")}'`;
    writeFileSync(join(project, "package.json"), JSON.stringify({ name, scripts: { start } }));
    const npx = Bun.spawn(["npx", "-y", "bun@1.4.5", "run", "start"], {
      cwd: project,
      env: {
        ...home.env,
        // npx downloads Bun only once, with the npm configuration of this user.
        npm_config_cache: join(root, "node_modules/.cache/npm"),
        npm_config_userconfig: join(userInfo().homedir, ".npmrc"),
        ...(NODE_EXTRA_CA_CERTS ? { NODE_EXTRA_CA_CERTS } : {}),
        SYNTHESIS_HOME: join(home.base, "state"),
        SYNTHESIS_WORKSPACE: home.workspace,
        SYNTHESIS_CLAUDE_BIN: standInClaude(home.base),
        SYNTHESIS_ENGINE: "interactive",
        SYNTHESIS_API_KEY: key,
        SYNTHESIS_BRIDGE_PORT: "0",
      },
      stdin: "ignore",
      stdout: "pipe",
      stderr: "ignore",
    });
    const url = await listeningAddress(npx.stdout);
    const answer = await fetch(`${url}/v1/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json", "x-api-key": key },
      body: JSON.stringify({ user: "me", messages: [{ role: "user", content: "hello" }] }),
    });
    expect(answer.status).toBe(200);
    const pids = descendants(npx.pid);
    expect(withCommand(pids, /main\.ts$/)).toHaveLength(1);
    // There may be more than one for a moment, because a process forks before it starts another program.
    expect(withCommand(pids, /stand-in-claude/)).not.toHaveLength(0);
    npx.kill(signal);
    await waitForExit(pids);
    home.remove();
  },
  120_000,
);

async function listeningAddress(stdout: ReadableStream<Uint8Array>): Promise<string> {
  const decoder = new TextDecoder();
  let printed = "";
  for await (const bytes of stdout) {
    printed += decoder.decode(bytes, { stream: true });
    const url = /listens on (http:\S+)\/v1/.exec(printed)?.[1];
    if (url) return url;
  }
  throw new Error(`the server did not start:\n${printed}`);
}
