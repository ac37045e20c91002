/** Attacks on resources: processes, memory, descriptors, connections and the log's disk space. */
import { execFileSync } from "node:child_process";
import { closeSync, mkdirSync, openSync, truncateSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { descendants, withCommand } from "../support/processes.ts";
import { type Check, eventually, must, within } from "./check.ts";
import { awaitPong, connectPlugin } from "./entries.ts";
import { runAttack } from "./pauses.ts";
import { beginTurn } from "./running-turn.ts";
import { MARKER, RESPONSE_TIMEOUT_MS, type Target, type Usage } from "./target.ts";

const MEGABYTE = 1024 * 1024;
const deep = (depth: number) => `${'{"a":'.repeat(depth)}0${"}".repeat(depth)}`;

const DEEPEST = 60_000;

/** Sends one-shots with schemas of several depths, up to the deepest that works. No process may be left behind. */
async function deepOneShots(target: Target): Promise<void> {
  const { url, key, pid } = target.server();
  const headers = { authorization: `Bearer ${key}`, "content-type": "application/json" };
  const ask = (depth: number, signal: AbortSignal) => {
    const format = `{"type":"json_schema","json_schema":{"name":"x","schema":${deep(depth)}}}`;
    const body = `{"messages":[{"role":"user","content":"${MARKER}"}],"response_format":${format}}`;
    return fetch(`${url}/v1/chat/completions`, { method: "POST", headers, body, signal });
  };
  const fails = async (depth: number) => {
    const response = await ask(depth, AbortSignal.timeout(RESPONSE_TIMEOUT_MS));
    await response.text();
    return response.status === 500;
  };
  let [works, breaks] = [0, DEEPEST];
  const isRefused = !(await fails(breaks));
  while (!isRefused && breaks - works > 1) {
    const middle = Math.floor((works + breaks) / 2);
    if (await fails(middle)) breaks = middle;
    else works = middle;
  }
  target.setOneShotScript("exec sleep 600");
  const client = new AbortController();
  const depths = [10, 90, 110, 5_000, works - 6, works - 4, works - 2, works - 1, works, breaks];
  const asked = depths.map((depth) =>
    ask(Math.max(1, depth), client.signal).then(
      async (response) => void (await response.text()),
      // This function has aborted the request.
      () => {},
    ),
  );
  const running = () => withCommand(descendants(pid), /sleep 600/).length;
  await eventually(() => running() > 0, RESPONSE_TIMEOUT_MS, "a request that is not refused starts a claude");
  client.abort();
  await Promise.all(asked);
  target.setOneShotScript("exit 1");
  await eventually(() => running() === 0, RESPONSE_TIMEOUT_MS, "the processes of all one-shots exit").catch((error) => {
    error.message += `: ${running()} run`;
    throw error;
  });
  must(isRefused, `a schema of a depth of ${breaks} is answered with 500`);
}

/** Runs a turn with hooks that name a file that is not a transcript. */
async function transcript(target: Target, path: string): Promise<void> {
  const hook = await beginTurn(target, "transcripts");
  try {
    await hook({ transcript_path: path, hook_event_name: "PreToolUse", tool_name: "Bash", tool_use_id: "t" });
    // The server looks into the transcript when a turn has shown no text.
    await hook({ transcript_path: path, hook_event_name: "Stop" });
  } finally {
    await hook.disconnect();
  }
  await target.say("hello", "transcripts");
}

function transcripts(target: Target): [name: string, path: () => string][] {
  const folder = join(target.home, ".claude/projects/hostile");
  const made = (name: string, make: (path: string) => void) => () => {
    mkdirSync(folder, { recursive: true });
    const path = join(folder, name);
    make(path);
    return path;
  };
  return [
    ["a FIFO", made("fifo.jsonl", (path) => execFileSync("mkfifo", [path]))],
    [
      "an empty sparse file of 1.5 GB",
      made("sparse.jsonl", (path) => {
        closeSync(openSync(path, "w"));
        truncateSync(path, 1536 * MEGABYTE);
      }),
    ],
    ["a line of 64 MB", made("line.jsonl", (path) => writeFileSync(path, Buffer.alloc(64 * MEGABYTE, "a")))],
    ["a deep row", made("deep.jsonl", (path) => writeFileSync(path, `${deep(60_000)}\n`))],
    ["a folder", () => target.home],
    ["an endless device", () => "/dev/zero"],
    ["a terminal", () => "/dev/tty"],
    ["a file of the system", () => "/etc/passwd"],
    ["a path with NUL", () => "/tmp/a\0b"],
  ];
}

async function badFrames(target: Target, count: number): Promise<void> {
  const before = target.log().length;
  const socket = await connectPlugin(target, "log");
  for (let at = 0; at < count; at += 1) {
    socket.send(`{"type":"reply","x${at % 7}":1}`);
    if (at % 500 === 0) await awaitPong(socket);
  }
  await awaitPong(socket);
  socket.close();
  await target.usage();
  const grown = target.log().length - before;
  must(grown < 100_000, `${count} bad frames took ${grown} bytes of log`);
}

/** Sends a hook body without a length that is larger than allowed. The server must stop reading it. */
async function endlessHook(target: Target): Promise<void> {
  const { hook } = await target.secrets("endless");
  const socket = connect(Number(new URL(target.server().url).port), "127.0.0.1");
  const closed = Promise.withResolvers<void>();
  let answer = "";
  let drained = Promise.withResolvers<void>();
  socket.on("data", (bytes) => {
    answer += bytes;
  });
  socket.on("drain", () => drained.resolve());
  socket.on("error", () => {});
  socket.on("close", () => {
    closed.resolve();
    drained.resolve();
  });
  const host = new URL(target.server().url).host;
  socket.write(
    `POST /hooks HTTP/1.1\r\nHost: ${host}\r\nAuthorization: Bearer ${hook}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n`,
  );
  const chunk = Buffer.concat([Buffer.from("100000\r\n"), Buffer.alloc(MEGABYTE, " "), Buffer.from("\r\n")]);
  let megabytes = 0;
  const send = async () => {
    for (; megabytes < 256 && answer === "" && !socket.destroyed; megabytes += 1) {
      drained = Promise.withResolvers();
      if (!socket.write(chunk)) await drained.promise;
    }
  };
  await within(send(), RESPONSE_TIMEOUT_MS, "a hook's body without an end is read or refused");
  socket.destroy();
  await within(closed.promise, RESPONSE_TIMEOUT_MS, "the connection ends");
  must(megabytes < 200, `a hook's body of ${megabytes} MB was read without an error`);
}

/** Opens many connections that send nothing or half a request. Other clients must still get an answer. */
async function slowConnections(target: Target, count: number): Promise<void> {
  const { url, key } = target.server();
  const port = Number(new URL(url).port);
  const head = `POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nAuthorization: Bearer ${key}\r\n`;
  const beginnings = [
    "",
    "P",
    head,
    `${head}Content-Length: 1000\r\n\r\n{`,
    `${head}Transfer-Encoding: chunked\r\n\r\n5\r\n{`,
  ];
  const sockets = Array.from({ length: count }, (_, at) => {
    const socket = connect(port, "127.0.0.1");
    socket.on("error", () => {});
    socket.write(beginnings[at % beginnings.length] ?? "");
    return socket;
  });
  try {
    await target.say("hello", "rest");
  } finally {
    for (const socket of sockets) socket.destroy();
  }
}

export const resourceChecks = (
  target: Target,
  { frames, connections }: { frames: number; connections: number },
): Check[] => [
  {
    name: "processes: requests with a deep schema leave no process behind",
    run: () => runAttack(target, () => deepOneShots(target)),
  },
  ...transcripts(target).map(([name, path]) => ({
    name: `transcript: ${name}`,
    run: () => runAttack(target, () => transcript(target, path())),
  })),
  {
    name: "log: bad frames are not logged one by one",
    run: () => runAttack(target, () => badFrames(target, frames)),
  },
  {
    name: "memory: a hook's body without a length is cut off",
    run: () => runAttack(target, () => endlessHook(target)),
  },
  {
    name: "connections: slow clients do not keep others out",
    run: () => runAttack(target, () => slowConnections(target, connections)),
  },
];

const MAX_LOG_BYTES = 2 * MEGABYTE;

/** Checks what all attacks have left behind. @param baseline the server's usage before them */
export const afterChecks = (target: Target, baseline: Usage): Check[] => {
  const settles = async (what: string, settled: (usage: Usage) => boolean) => {
    let last = baseline;
    await eventually(
      async () => {
        last = await target.usage();
        return settled(last);
      },
      RESPONSE_TIMEOUT_MS,
      what,
    ).catch((error) => {
      error.message += `: ${JSON.stringify(last)}, before ${JSON.stringify(baseline)}`;
      throw error;
    });
  };
  return [
    { name: "after all: the server answers", run: async () => void (await target.say("hello", "rest")) },
    {
      name: "after all: every conversation is deleted, and its processes end",
      run: async () => {
        await target.deleteAll();
        await settles("no process runs", ({ processes }) => processes === 0);
      },
    },
    {
      name: "after all: timers and descriptors are as before",
      run: () =>
        settles(
          "timers and descriptors end",
          // The watch of claude's sessions and the log of the open database may stay.
          ({ timers, descriptors }) => timers <= baseline.timers + 2 && descriptors <= baseline.descriptors + 6,
        ),
    },
    {
      name: "after all: memory is as before",
      run: () => settles("memory is freed", ({ memory }) => memory < baseline.memory + 300),
    },
    {
      name: "log: no key and no token is in it",
      run: async () => {
        const log = target.log();
        must(!target.allSecrets().some((secret) => log.includes(secret)), "a key or a token is in the log");
      },
    },
    {
      name: "log: no text of a message is in it",
      run: async () => {
        const line = target
          .log()
          .split("\n")
          .find((line) => line.includes(MARKER));
        must(line === undefined, `the log has the text of a message: ${line?.slice(0, 300)}`);
      },
    },
    {
      name: `log: all attacks together take less than ${MAX_LOG_BYTES} bytes of it`,
      run: async () => {
        const { length } = target.log();
        must(length < MAX_LOG_BYTES, `the log has ${length} bytes`);
      },
    },
  ];
};
