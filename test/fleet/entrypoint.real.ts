/** The entrypoint of the container makes a node of a fleet a member before its server starts. */
import { expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { daemonFolder } from "../support/daemon.ts";
import { startPostgres } from "../support/postgres.ts";
import { PROGRAM } from "../support/server.ts";
import { DEPLOY } from "./balancer.ts";

test("a container with a database joins the fleet at each start, and one without does not", async () => {
  await using postgres = await startPostgres();
  using folder = daemonFolder("entrypoint");
  const bin = join(folder.path, "bin");
  mkdirSync(bin);
  const program = PROGRAM.map((part) => `'${part}'`).join(" ");
  writeFileSync(join(bin, "synthesis"), `#!/bin/sh\nexec ${program} "$@"\n`, { mode: 0o755 });
  const env = {
    PATH: `${bin}:${process.env.PATH}`,
    HOME: join(folder.path, "home"),
    CLAUDE_CONFIG_DIR: join(folder.path, "claude"),
    SYNTHESIS_HOME: join(folder.path, "synthesis"),
    SYNTHESIS_API_KEY: "a-key-for-the-container",
  };
  const start = async (more: Record<string, string> = {}) => {
    const command = [join(DEPLOY, "entrypoint.sh"), "echo", "the server"];
    const child = Bun.spawn(command, { env: { ...env, ...more }, stdout: "pipe", stderr: "inherit" });
    expect(await child.exited).toBe(0);
    return new Response(child.stdout).text();
  };
  const node = {
    SYNTHESIS_DATABASE: postgres.url(),
    SYNTHESIS_NODE_NAME: "node-a",
    SYNTHESIS_NODE_LISTEN: "0.0.0.0:18991",
    SYNTHESIS_NODE_URL: "https://node-a:18991",
  };

  expect(await start()).toBe("the server\n");
  for (let count = 0; count < 2; count += 1) expect(await start(node)).toEndWith("the server\n");
  expect(await postgres.query("SELECT name, url FROM members")).toBe("node-a|https://node-a:18991\n");
});
