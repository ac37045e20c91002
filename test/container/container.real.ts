/**
 * What the Dockerfile does, without a container engine: the entrypoint starts the program in namespaces of its own, with
 * an empty volume, a root that cannot be written, and nothing but a token. bubblewrap is process 1 in place of tini.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { devDependencies } from "../../package.json";
import { type MockAnthropic, startMockAnthropic } from "../support/mock-anthropic.ts";
import { descendants, waitForExit, withCommand } from "../support/processes.ts";
import { REAL_CLAUDE, startServer, type TestServer } from "../support/server.ts";
import { ask, say } from "../support/sse.ts";

const root = join(import.meta.dir, "../..");
const deploy = (file: string) => readFileSync(join(root, "deploy", file), "utf8");

let folder: string;
let mock: MockAnthropic;
let server: TestServer;

beforeAll(async () => {
  const bwrap = Bun.which("bwrap");
  if (bwrap === null) throw new Error("This suite needs bubblewrap. Install it: apt-get install bubblewrap");
  folder = realpathSync(mkdtempSync(join(tmpdir(), "synthesis-container-")));
  const program = join(folder, "synthesis");
  const build = Bun.spawn([process.execPath, "run", "build", "--outfile", program], {
    cwd: root,
    stdout: "ignore",
    stderr: "inherit",
  });
  expect(await build.exited).toBe(0);
  const data = join(folder, "data");
  mkdirSync(data, { mode: 0o700 });
  mock = startMockAnthropic();
  const namespaces = ["--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--die-with-parent"];
  const files = ["--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "--tmpfs", "/tmp"];
  // A clone of the project may be below /tmp.
  files.push("--ro-bind", root, root);
  const volume = ["--bind", data, "/tmp/data", "--ro-bind", program, "/tmp/synthesis", "--chdir", "/tmp/data"];
  const env = {
    PATH: process.env.PATH ?? "",
    HOME: "/tmp/data/home",
    CLAUDE_CONFIG_DIR: "/tmp/data/claude",
    SYNTHESIS_HOME: "/tmp/data/synthesis",
    SYNTHESIS_CLAUDE_BIN: REAL_CLAUDE,
    SYNTHESIS_API_KEY: "a-key-for-the-container",
    CLAUDE_CODE_OAUTH_TOKEN: "sk-ant-oat01-test",
    ANTHROPIC_BASE_URL: mock.url,
  };
  const entrypoint = join(root, "deploy/entrypoint.sh");
  server = await startServer(env, [bwrap, ...namespaces, ...files, ...volume, "--", entrypoint, "/tmp/synthesis"]);
}, 120_000);

afterAll(async () => {
  await server?.stop("SIGKILL");
  await mock?.stop();
  rmSync(folder, { recursive: true, force: true });
});

test("a token alone gets a first answer", async () => {
  expect((await say(server, "hello from a container")).answer).toBe("You said: hello from a container");
  expect((await fetch(`${server.url}/health`)).status).toBe(200);
});

test("the log says that the first start of Claude Code is marked as done", () => {
  expect(server.log()).toContain("Claude Code's first start is marked as done");
});

test("SIGTERM ends the server and everything that it has started", async () => {
  const pids = descendants(server.pid);
  const running = withCommand(pids, /\/tmp\/synthesis serve/);
  expect(running).not.toHaveLength(0);
  await (await server.post(ask("goodbye"))).text();
  for (const pid of running) process.kill(pid, "SIGTERM");
  expect(await server.exited).toBe(0);
  await waitForExit(pids);
});

test("the Dockerfile has the version of Claude Code that the tests use, and the Bun of CI", () => {
  expect(deploy("Dockerfile")).toContain(`@anthropic-ai/claude-code@${devDependencies["@anthropic-ai/claude-code"]}`);
  const [, bun = ""] = /bun@([\d.]+)/.exec(readFileSync(join(root, ".ci/run"), "utf8")) ?? [];
  expect([...deploy("Dockerfile").matchAll(/bun@([\d.]+)/g)].map(([, version]) => version)).toEqual([bun, bun]);
  expect(deploy("Dockerfile")).toMatch(/^USER node$/m);
});

test("the files of compose and the Dockerfile agree", () => {
  const { services } = Bun.YAML.parse(deploy("compose.yaml")) as {
    services: Record<string, { volumes: string[]; ports?: string[] }>;
  };
  expect(services.synthesis?.volumes).toEqual(["claude:/data"]);
  expect(deploy("Dockerfile")).toMatch(/^VOLUME \/data$/m);
  expect(services.synthesis?.ports).toEqual(["127.0.0.1:8080:8080"]);
  expect(deploy("Dockerfile")).toContain("SYNTHESIS_LISTEN=0.0.0.0:8080");
});
