/** The machine around the server: other users, a proxy, and a state folder that another user prepared. */
import { execFileSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PROGRAM, startServer } from "../support/server.ts";
import { ask } from "../support/sse.ts";
import { createWorld, type World } from "../support/world.ts";
import { type Check, must, within } from "./check.ts";
import { MARKER, RESPONSE_TIMEOUT_MS } from "./target.ts";

/** The uid of the user `nobody`. */
const OTHER_UID = 65534;
/** A server that has not started after this time is blocked by a file in its folder. In ms. */
const START_TIMEOUT_MS = 10_000;
const IMAGE =
  "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

/** A path and everything below it. Links are not followed. */
function below(path: string): string[] {
  if (!lstatSync(path).isDirectory()) return [path];
  return [path, ...readdirSync(path).flatMap((name) => below(join(path, name)))];
}

async function fileModes(): Promise<void> {
  await using world = await createWorld({
    standIn: true,
    program: ["/bin/sh", "-c", 'umask 000; exec "$@"', "sh", ...PROGRAM],
    // The test's folder is closed to other users, which would hide a wrong mode below it.
    prepare: ({ base }) => chmodSync(base, 0o755),
  });
  const content = [
    { type: "text", text: MARKER },
    { type: "image_url", image_url: { url: IMAGE } },
  ];
  const body = { stream: false, user: "modes", messages: [{ role: "user", content }] };
  must((await world.server.post(body)).ok, "a message with an image is answered");
  const state = join(world.claude.base, "state");
  const paths = below(state);
  must(
    ["run/", "chat.key", "control.key", "synthesis.db", "images/"].every((name) =>
      paths.some((path) => path.includes(name)),
    ),
    "the state folder has every file that is checked",
  );
  const open = paths.filter((path) => (lstatSync(path).mode & 0o077) !== 0 && !lstatSync(path).isSymbolicLink());
  must(open.length === 0, `others may use ${open.slice(0, 5).join(", ")}`);
  // Only root can start a program as another user. Without root, only the modes are checked.
  if (process.getuid?.() !== 0 || !Bun.which("setpriv")) return;
  const ids = [`--reuid=${OTHER_UID}`, `--regid=${OTHER_UID}`, "--clear-groups"];
  const found = Bun.spawnSync(["setpriv", ...ids, "find", state, "-readable", "-o", "-writable", "-o", "-executable"]);
  must(found.stdout.toString().trim() === "", `another user can use ${found.stdout.toString().slice(0, 300)}`);
  const others = Bun.spawnSync(["setpriv", ...ids, "cat", join(state, "chat.key"), join(state, "control.key")]);
  must(others.stdout.length === 0, "another user can read a key");
  const listed = Bun.spawnSync(["setpriv", ...ids, "ps", "-A", "-ww", "-o", "args="]).stdout.toString();
  must(listed.includes("stand-in-claude"), "another user sees the list of processes");
  const secrets = [world.server.key, readFileSync(join(state, "control.key"), "utf8").trim(), MARKER];
  must(!secrets.some((secret) => listed.includes(secret)), "a key or a message is in the list of processes");
}

/** Starts a proxy that accepts every connection and records what is sent to it. */
async function openProxy() {
  let seen = "";
  const server = createServer((socket) => {
    socket.on("data", (bytes) => {
      seen += bytes.toString("latin1");
      socket.end("HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    });
    socket.on("error", () => {});
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  const url = `http://127.0.0.1:${port}`;
  const names = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"].flatMap((name) => [name, name.toLowerCase()]);
  return {
    env: Object.fromEntries(names.map((name) => [name, url])),
    seen: () => seen,
    [Symbol.dispose]: () => void server.close(),
  };
}

async function command(world: World, args: string[], env: Record<string, string>, cwd = "/"): Promise<string> {
  const child = Bun.spawn([...PROGRAM, ...args], {
    env: { ...world.serverEnv, ...env },
    cwd,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const output = Promise.all([child.stdout.text(), child.stderr.text()]).then((both) => both.join(""));
  try {
    return await within(output, RESPONSE_TIMEOUT_MS, `synthesis ${args.join(" ")} ends`);
  } finally {
    child.kill("SIGKILL");
  }
}

type Proxy = Awaited<ReturnType<typeof openProxy>>;

const sawNothing = (proxy: Proxy) =>
  must(
    proxy.seen() === "",
    `the proxy has seen ${JSON.stringify(
      proxy
        .seen()
        .replace(/(?<=Bearer )\S+/gi, "<a key>")
        .slice(0, 200),
    )}`,
  );

/** A server behind a proxy: its claude must send hooks and frames to the server directly. */
async function proxyOfTheServer(): Promise<void> {
  using proxy = await openProxy();
  await using world = await createWorld({ standIn: true, env: proxy.env });
  const answer = world.server.post(ask(MARKER, { stream: false, user: "proxy" }));
  const ok = await within(answer, RESPONSE_TIMEOUT_MS, "a message is answered").then(
    (response) => response.ok,
    // The check of the proxy gives the more useful message.
    () => false,
  );
  sawNothing(proxy);
  must(ok, "a message is answered");
}

async function proxyOfTheCommandLine(): Promise<void> {
  using proxy = await openProxy();
  await using world = await createWorld({ standIn: true });
  must((await world.server.post(ask(MARKER, { stream: false, user: "proxy" }))).ok, "a message is answered");
  const home = ["--home", join(world.claude.base, "state")];
  const listed = await command(world, ["sessions", "list", ...home], proxy.env);
  const commands = [
    ["sessions", "list"],
    ["sessions", "show", "user:proxy"],
    ["sessions", "interrupt", "user:proxy"],
    ["permissions", "list"],
    ["permissions", "allow", "none"],
    ["sessions", "reset", "user:proxy"],
    ["sessions", "rm", "user:proxy"],
  ];
  for (const one of commands) await command(world, [...one, ...home], proxy.env);
  sawNothing(proxy);
  must(listed.includes("user:proxy"), "the command line reaches the server");
}

/** A state folder after a first start, ready to be changed by an attacker. */
interface Prepared extends Disposable {
  readonly state: string;
  /** A folder of the user's beside the state folder. Its one file must stay unchanged. */
  readonly precious: string;
}

const KEPT = "precious";

async function preparedFolder(world: World): Promise<Prepared> {
  const base = mkdtempSync(join(tmpdir(), "synthesis-test-hostile-"));
  const [state, precious] = [join(base, "state"), join(base, "precious")];
  mkdirSync(precious);
  writeFileSync(join(precious, "file"), KEPT);
  const server = await startServer({ ...world.serverEnv, SYNTHESIS_HOME: state });
  await server.stop();
  return { state, precious, [Symbol.dispose]: () => rmSync(base, { recursive: true, force: true }) };
}

/** Starts a server in the folder. @returns its output if it refuses to start, otherwise "" */
async function startIn(world: World, state: string): Promise<string> {
  let output = "";
  const child = Bun.spawn([...PROGRAM, "serve"], {
    env: { ...world.serverEnv, SYNTHESIS_HOME: state, SYNTHESIS_BRIDGE_PORT: "0", SYNTHESIS_DRAIN_MS: "500" },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const started = Promise.withResolvers<void>();
  const collect = async (stream: ReadableStream<Uint8Array>) => {
    for await (const bytes of stream) {
      output += new TextDecoder().decode(bytes);
      if (output.includes("Claude Code:")) started.resolve();
    }
  };
  const ends = Promise.all([collect(child.stdout), collect(child.stderr), child.exited]);
  try {
    await within(Promise.race([started.promise, ends]), START_TIMEOUT_MS, "a server starts, or refuses to");
    if (child.exitCode === null) {
      child.kill("SIGTERM");
      await within(ends, RESPONSE_TIMEOUT_MS, "the server ends");
      return "";
    }
  } finally {
    child.kill("SIGKILL");
  }
  must(!/^\s+at .*\(/m.test(output), `a server refuses with a stack: ${output.slice(0, 300)}`);
  return output;
}

/** Changes the state folder. @returns whether the server must refuse to start */
type Change = (state: string, precious: string) => boolean;

const swap = (path: string, make: () => void) => {
  rmSync(path, { recursive: true, force: true });
  make();
};
const fifo = (path: string) => swap(path, () => execFileSync("mkfifo", ["-m", "600", path]));

const CHANGES: readonly [name: string, change: Change][] = [
  ...["run", "images", "plugin", "nowhere"].map((name): [string, Change] => [
    `${name} is a link to a folder of the user's`,
    (state, precious) => {
      swap(join(state, name), () => symlinkSync(precious, join(state, name)));
      return false;
    },
  ]),
  ...["run", "images"].flatMap((name): [string, Change][] => [
    [
      `${name} holds a link to a folder of the user's`,
      (state, precious) => {
        mkdirSync(join(state, name), { recursive: true });
        symlinkSync(precious, join(state, name, "11111111-1111-4111-8111-111111111111"));
        return false;
      },
    ],
    [
      `${name} holds a folder with a link to one of the user's`,
      (state, precious) => {
        const folder = join(state, name, "22222222-2222-4222-8222-222222222222");
        mkdirSync(folder, { recursive: true });
        symlinkSync(precious, join(folder, "x"));
        symlinkSync(join(precious, "file"), join(folder, "settings.json"));
        return false;
      },
    ],
    [
      `${name} holds a folder of the user's`,
      (state, precious) => {
        mkdirSync(join(state, name), { recursive: true });
        const moved = join(state, name, "my notes");
        renameSync(precious, moved);
        symlinkSync(moved, precious);
        return false;
      },
    ],
  ]),
  ...["chat.key", "control.key"].flatMap((name): [string, Change][] => [
    [
      `others can write ${name}`,
      (state) => {
        chmodSync(join(state, name), 0o666);
        return true;
      },
    ],
    [
      `${name} belongs to another user`,
      (state) => {
        if (process.getuid?.() === 0) execFileSync("chown", [`${OTHER_UID}`, join(state, name)]);
        return process.getuid?.() === 0;
      },
    ],
  ]),
  [
    "others can write config.json",
    (state) => {
      writeFileSync(join(state, "config.json"), "{}");
      chmodSync(join(state, "config.json"), 0o666);
      return true;
    },
  ],
  [
    "the state folder belongs to another user",
    (state) => {
      if (process.getuid?.() === 0) execFileSync("chown", [`${OTHER_UID}`, state]);
      return process.getuid?.() === 0;
    },
  ],
  [
    "synthesis.db is a link to a file of the user's",
    (state, precious) => {
      swap(join(state, "synthesis.db"), () => symlinkSync(join(precious, "file"), join(state, "synthesis.db")));
      return false;
    },
  ],
  [
    "server.lock is a link to a file of the user's",
    (state, precious) => {
      swap(join(state, "server.lock"), () => symlinkSync(join(precious, "file"), join(state, "server.lock")));
      return false;
    },
  ],
  [
    "server.lock.json is a link to a file of the user's",
    (state, precious) => {
      swap(join(state, "server.lock.json"), () => symlinkSync(join(precious, "file"), join(state, "server.lock.json")));
      return false;
    },
  ],
  [
    "plugin's files are links to a file of the user's",
    (state, precious) => {
      const folder = join(state, "plugin/.claude-plugin");
      mkdirSync(folder, { recursive: true });
      swap(join(folder, "plugin.json"), () => symlinkSync(join(precious, "file"), join(folder, "plugin.json")));
      return false;
    },
  ],
  ...["chat.key", "control.key", "config.json", "synthesis.db", "server.lock", "server.lock.json"].map(
    (name): [string, Change] => [
      `${name} is a FIFO`,
      (state) => {
        fifo(join(state, name));
        return false;
      },
    ],
  ),
];

export const machineChecks = (): Check[] => {
  let world: World | undefined;
  const sharedWorld = async () => {
    world ??= await createWorld({ standIn: true });
    return world;
  };
  return [
    { name: "files: another user can read and write nothing, even under umask 000", run: fileModes },
    { name: "proxy: the requests of the command line bypass it", run: proxyOfTheCommandLine },
    { name: "proxy: what claude sends to its server bypasses it", run: proxyOfTheServer },
    ...CHANGES.map(([name, change]) => ({
      name: `state folder: ${name}`,
      run: async () => {
        const world = await sharedWorld();
        using folder = await preparedFolder(world);
        const { state, precious } = folder;
        const mustRefuse = change(state, precious);
        const output = await startIn(world, state);
        const kept = existsSync(join(precious, "file")) ? readFileSync(join(precious, "file"), "utf8") : null;
        must(kept === KEPT, `a file of the user's is ${kept === null ? "deleted" : "changed"}`);
        must(readdirSync(precious).length === 1, `a folder of the user's now has ${readdirSync(precious)}`);
        if (mustRefuse)
          must(
            /chmod|chown|SYNTHESIS_/.test(output),
            `the server ${output ? `says ${output.slice(0, 200)}` : "starts"}`,
          );
      },
    })),
    {
      name: "state folder: all servers of these checks have exited",
      run: async () => void (await world?.[Symbol.asyncDispose]()),
    },
  ];
};
