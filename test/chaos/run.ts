/** Runs one schedule with a server and stand-ins of its own, and holds what happens against what must. */
import { Database } from "bun:sqlite";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { findLeftovers } from "../../src/claude/leftovers.ts";
import { findTranscript } from "../../src/claude/transcript.ts";
import { createClock } from "../support/clock.ts";
import { descendants, descriptors, gone, named } from "../support/processes.ts";
import { PROGRAM, startServer, type TestServer } from "../support/server.ts";
import { type Claudes, realClaudes, standIns } from "./claudes.ts";
import { type Outcome, type Sent, send } from "./client.ts";
import { type Expected, expectedBehind, expectedOf } from "./model.ts";
import { answerOf, MESSAGE_IDS, type Orders, PLAIN, type Word, wholeAnswer } from "./orders.ts";
import { type OrdersDesk, openOrdersDesk } from "./orders-desk.ts";
import type { Ask, Round, Schedule } from "./schedule.ts";

const root = join(import.meta.dir, "../..");
const HOUR = 3_600_000;
/** After so many looks a record is taken for complete. */
const LOOKS = 100;

/** What the schedule's author would call a bug. */
export class Wrong extends Error {}

interface Conversation {
  readonly key: string;
  readonly client: "alone" | "whole";
  /** What its claude has been told, in order. */
  readonly told: string[];
  /** What the client has said and heard. */
  readonly history: { role: "user" | "assistant"; content: string }[];
  /** What it says again with its next message. */
  pending: string[];
  said: number;
}

interface Stage {
  readonly schedule: Schedule;
  readonly claudes: Claudes;
  readonly within: Within;
  readonly desk: OrdersDesk;
  readonly clock: Awaited<ReturnType<typeof createClock>>;
  readonly state: string;
  readonly conversations: readonly Conversation[];
  readonly start: () => Promise<TestServer>;
  server: TestServer;
  /** Timers and descriptors of a server that has done nothing. */
  rested: { timers: number; descriptors: number };
  mayLog: boolean;
}

/** @throws Wrong that says what is */
export async function runSchedule(schedule: Schedule, who: "stand-ins" | "real" = "stand-ins"): Promise<void> {
  const desk = openOrdersDesk();
  const claudes = who === "real" ? realClaudes(desk) : standIns(desk, schedule.mode);
  const { home, speed } = claudes;
  const clock = await createClock(join(home.base, "clock"), speed);
  const state = join(home.base, "state");
  const env = {
    ...home.env,
    ...clock.env,
    ...claudes.env,
    SYNTHESIS_HOME: state,
    SYNTHESIS_WORKSPACE: home.workspace,
    SYNTHESIS_REPLY: schedule.mode,
    SYNTHESIS_MAX_PROCESSES: `${schedule.maxProcesses}`,
    SYNTHESIS_IDLE_KILL_MS: schedule.restless ? "3000" : "2000000000",
    SYNTHESIS_SPARES: `${schedule.spares}`,
  };
  // A disk that takes no more is a signal to who writes on it, unless that is ignored.
  const program = ["/bin/sh", "-c", 'trap "" XFSZ; exec "$@"', "sh", ...preloaded(PROGRAM)];
  const within = patience(claudes.patience);
  const start = () => within(startServer(env, program), "the server starts");
  const stage: Stage = {
    schedule,
    claudes,
    within,
    desk,
    clock,
    state,
    conversations: schedule.clients.map((client, index) => ({
      key: `c${index}`,
      client,
      told: [],
      history: [],
      pending: [],
      said: 0,
    })),
    start,
    server: await start(),
    rested: { timers: 0, descriptors: 0 },
    mayLog: false,
  };
  try {
    stage.rested = await count(stage);
    for (const round of schedule.rounds) await play(stage, round);
    for (const conversation of stage.conversations) if (conversation.said > 0) await talk(stage, conversation, false);
    await checkRows(stage);
    await end(stage);
  } catch (error) {
    const log = stage.server.log().split("\n").slice(-60).join("\n");
    throw error instanceof Wrong ? new Wrong(`${error.message}\n${process.env.CHAOS_LOG ? log : ""}`) : error;
  } finally {
    await stage.server.stop("SIGKILL");
    for (const pid of findLeftovers(home.base)) process.kill(pid, "SIGKILL");
    await desk.close();
    await claudes.stop();
  }
}

const preloaded = ([bun = "", ...program]: readonly string[]) => [
  bun,
  ...["count-timers", "clock"].flatMap((name) => ["--preload", join(root, `test/support/${name}.ts`)]),
  ...program,
];

type Within = <T>(promise: Promise<T>, what: string) => Promise<T>;

/** Waits that are Wrong when they take longer than `ms`. */
const patience =
  (ms: number): Within =>
  async (promise, what) => {
    let timer: Timer | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Wrong(`${what}: not after ${ms} ms`)), ms);
    });
    try {
      return await Promise.race([promise, late]);
    } finally {
      clearTimeout(timer);
    }
  };

interface Said {
  readonly conversation: Conversation;
  /** The messages that it brings, the newest last. */
  readonly ids: readonly string[];
  readonly orders: Orders;
  readonly sent: Sent;
}

/** Says the next message of a conversation with what is to be said again, or only that. */
function say(
  { desk, server }: Stage,
  conversation: Conversation,
  orders: Orders,
  stream: boolean,
  again = false,
): Said {
  const { client, key, history, pending } = conversation;
  if (!again) conversation.said += 1;
  const ids = again ? pending : [...pending, `#${key}m${conversation.said}`];
  desk.order(ids.at(-1) ?? "", orders);
  const asked = ids.map((id) => ({ role: "user" as const, content: wordsOf(id) }));
  const messages = client === "whole" ? [...history, ...asked] : asked;
  const body = { model: "synthesis-claude-bridge", stream, user: key, messages };
  return { conversation, ids, orders, sent: send((signal) => server.post(body, LAST, signal)) };
}

/** A connection that is kept for the next request would count as one that is left. */
const LAST = { connection: "close" };
const wordsOf = (id: string) => `${id}: and now?`;

/** Says something that nothing is wrong with, and holds the answer against what must be. */
async function talk(stage: Stage, conversation: Conversation, again: boolean): Promise<void> {
  const said = say(stage, conversation, PLAIN, true, again);
  await stage.within(said.sent.over, `${said.ids} ends`);
  await check(stage, said, { end: "answered", errors: [], told: true }, false);
}

async function play(stage: Stage, round: Round): Promise<void> {
  const { within } = stage;
  const played = round.asks.map((ask) => {
    const conversation = stage.conversations[ask.conversation] as Conversation;
    return { ask, lead: say(stage, conversation, ask.orders, ask.stream), behind: [] as Said[] };
  });
  const held: (() => void)[] = [];
  await Promise.all(
    played.map(async ({ ask, lead, behind }) => {
      const { over } = lead.sent;
      if (ask.orders.hold === null) return void (await within(over, `${lead.ids} ends`));
      const arrived = stage.desk.held(lead.ids.at(-1) ?? "");
      // A client may have its answer before claude comes to its point; one that is told of an error waits in vain.
      const early = over.then(({ finished }) => (finished > 0 ? arrived : null));
      const claude = await within(Promise.race([arrived, early]), `${lead.ids} comes to its point`);
      if (!claude) return;
      for (let place = 0; place < ask.behind; place += 1) {
        const next = say(stage, lead.conversation, PLAIN, true);
        behind.push(next);
        await within(next.sent.opened, `${next.ids} is taken`);
      }
      const go = await strikeOne(stage, ask, lead, claude.pid);
      if (round.blow) held.push(() => claude.say(go));
      else claude.say(go);
    }),
  );
  const all = played.flatMap(({ lead, behind }) => [lead, ...behind]);
  await strikeAll(stage, round.blow, () => {
    for (const go of held) go();
    return Promise.all(all.map(({ ids, sent }) => within(sent.over, `${ids} ends`)));
  });
  for (const { ask, lead, behind } of played) {
    const then = behind.map((_, place) => expectedBehind(round, place));
    // What was answered in the meantime makes the same words new ones.
    const again = ask.otherwise !== "forget" && then.every(({ end }) => end === "failed");
    const keeps = again && (ask.otherwise === "again" || lead.conversation.client === "whole");
    await check(stage, lead, expectedOf(ask, round, stage.schedule, stage.claudes.failure), keeps);
    const { pending } = lead.conversation;
    for (const [place, one] of behind.entries()) await check(stage, one, then[place] as Expected, false);
    lead.conversation.pending = pending;
  }
  for (const { ask, lead } of played) {
    if (lead.conversation.pending.length > 0 && ask.otherwise === "again") await talk(stage, lead.conversation, true);
  }
}

/** What goes wrong in one conversation. @returns the word for its claude */
async function strikeOne(
  { server, state, within }: Stage,
  { fault }: Ask,
  { sent, conversation }: Said,
  known: number | null,
): Promise<Word> {
  const pid = known ?? (await claudeOf(server, state, conversation));
  switch (fault) {
    case "lose": {
      if (known !== null) return fault;
      const [plugin] = named(descendants(pid), / channel$/);
      if (plugin === undefined) throw new Error("there is no plugin");
      process.kill(plugin, "SIGKILL");
      await within(gone([plugin]), "the plugin dies");
      return "go on";
    }
    case "kill":
    case "term":
      process.kill(pid, fault === "kill" ? "SIGKILL" : "SIGTERM");
      // What is said to one that is just dying is lost with it, and its client is told so.
      await within(server.logged(new RegExp(`claude exited.*"pid":${pid}\\b`)), "the server sees its claude end");
      return "go on";
    case "leave":
      sent.leave();
      return "escape";
    case "interrupt": {
      const response = await control(server, state, `/${sessionKey(conversation)}/interrupt`, "POST");
      if (!response.ok) throw new Wrong(`an interruption was refused: ${await response.text()}`);
      return "escape";
    }
    case null:
      return "go on";
    default:
      return fault;
  }
}

/** The process of a conversation's claude. */
async function claudeOf(server: TestServer, state: string, conversation: Conversation): Promise<number> {
  const session = (await (await control(server, state, `/${sessionKey(conversation)}`)).json()) as { pid: number };
  return session.pid;
}

/** What goes wrong for all. @param goOn lets go of all that are held, and resolves when everything said has ended */
async function strikeAll(stage: Stage, blow: Round["blow"], goOn: () => Promise<unknown>): Promise<void> {
  const { server, clock, state, within } = stage;
  switch (blow) {
    case null:
      await goOn();
      return;
    case "kill server":
      await within(server.stop("SIGKILL"), "the server dies");
      await goOn();
      return restart(stage);
    case "end server": {
      checkLog(stage);
      const stopped = server.stop();
      await within(server.logged(/shutting down/), "the server begins to end");
      await goOn();
      const code = await within(stopped, "the server ends");
      if (code !== 0) throw new Wrong(`the server ended with ${code}`);
      return restart(stage);
    }
    case "lock database": {
      stage.mayLog = true;
      const database = new Database(join(state, "synthesis.db"));
      database.run(`PRAGMA busy_timeout = ${stage.claudes.patience}`);
      database.run("BEGIN IMMEDIATE");
      await goOn();
      database.run("ROLLBACK");
      database.close();
      return;
    }
    case "fill disk":
      stage.mayLog = true;
      limitFiles(server.pid, "0");
      await goOn();
      limitFiles(server.pid, "unlimited");
      return;
    case "clock forward":
      clock.jump(9 * HOUR);
      await goOn();
      return;
    case "clock back":
      clock.jump(-HOUR);
      await goOn();
  }
}

async function restart(stage: Stage): Promise<void> {
  stage.server = await stage.start();
  stage.rested = await count(stage);
  stage.mayLog = false;
}

/** No file of this process may grow beyond so many bytes: the nearest to a full disk that anybody may cause. */
function limitFiles(pid: number, bytes: string): void {
  const { exitCode, stderr } = Bun.spawnSync(["prlimit", "--pid", `${pid}`, `--fsize=${bytes}:unlimited`]);
  if (exitCode !== 0) throw new Error(`prlimit: ${stderr}`);
}

/** Holds what came of something said against what must. @param keeps the client says it again if it fails */
async function check(stage: Stage, said: Said, expected: Expected, keeps: boolean): Promise<void> {
  const { schedule, claudes } = stage;
  const { conversation, ids, orders, sent } = said;
  const { told, history } = conversation;
  const outcome = await sent.over;
  const news = expected.told ? ids.filter((id) => !told.includes(id)) : [];
  const whole = wholeAnswer(answerOf([...told, ...news], orders, schedule.mode), schedule.mode);
  // What died before it wrote a message down has forgotten it.
  const isForgotten = expected.end === "failed" && !claudes.recordsAtOnce && !(await isRecorded(stage, said));
  if (!isForgotten) told.push(...news);
  const wrong = difference(outcome, expected, whole);
  if (wrong) {
    throw new Wrong(`${ids} ${wrong}\nexpected: ${JSON.stringify(expected)}\nseen: ${JSON.stringify(outcome)}`);
  }
  conversation.pending = expected.end === "failed" && keeps ? [...ids] : [];
  if (expected.end !== "answered") return;
  for (const id of ids) history.push({ role: "user", content: wordsOf(id) });
  history.push({ role: "assistant", content: outcome.text });
}

const isRecorded = async (stage: Stage, { conversation, ids }: Said) =>
  (await recordOf(stage, conversation)).includes(ids.at(-1) ?? "");

/** What is wrong with an outcome; null when nothing is. */
function difference({ text, finished, errors, broken }: Outcome, expected: Expected, whole: string): string | null {
  switch (expected.end) {
    case "answered":
      if (finished !== 1 || errors.length > 0 || broken) return "was not answered, once";
      return text === whole ? null : `was not answered with ${JSON.stringify(whole)}`;
    case "failed": {
      const told = broken && errors.length === 0 ? ["broken"] : errors;
      if (finished > 0 || told.length !== 1 || !expected.errors.includes(told[0] ?? ""))
        return "did not fail as it must";
      return whole.startsWith(text) ? null : `was not answered with the beginning of ${JSON.stringify(whole)}`;
    }
    case "left":
      return null;
  }
}

const sessionKey = ({ key }: Conversation) => encodeURIComponent(`user:${key}`);

const control = (server: TestServer, state: string, path: string, method = "GET") =>
  fetch(`${server.url}/v1/sessions${path}`, {
    method,
    headers: { ...LAST, authorization: `Bearer ${readFileSync(join(state, "control.key"), "utf8").trim()}` },
  });

/** One row for each conversation, and its claude session is the one that has all that was said. */
async function checkRows(stage: Stage): Promise<void> {
  const { conversations, server, state, within } = stage;
  const database = new Database(join(state, "synthesis.db"), { readonly: true });
  const open = () => database.query("select id, state from turns where state in ('sent', 'running')").all();
  const written = async () => {
    // In tool mode a client has its answer before the turn is over.
    while (open().length > 0) await Bun.sleep(20);
    // The door writes down what has been gathered.
    await (await control(server, state, "")).text();
  };
  await within(written(), "every turn has an end");
  const rows = database.query("select key from sessions").all() as { key: string }[];
  const past = database.query("select count(*) as count from past_sessions").get() as { count: number };
  database.close();
  const talked = conversations.filter(({ said }) => said > 0);
  const keys = (all: string[]) => JSON.stringify(all.toSorted());
  if (keys(rows.map(({ key }) => key)) !== keys(talked.map(({ key }) => `user:${key}`)) || past.count > 0) {
    throw new Wrong(`the sessions are ${JSON.stringify(rows)} and ${past.count} past ones`);
  }
  for (const conversation of talked) {
    const { key, told } = conversation;
    let recorded: string[] = [];
    // The real claude is a little late with it.
    for (let look = 0; look < LOOKS && recorded.join() !== told.join(); look += 1) {
      if (look > 0) await Bun.sleep(50);
      recorded = await recordOf(stage, conversation);
    }
    if (recorded.join() !== told.join()) throw new Wrong(`claude's record of ${key} has ${recorded}, and not ${told}`);
  }
}

/** The messages in the record of the claude session that is a conversation's. */
async function recordOf({ state, claudes }: Stage, { key }: Conversation): Promise<string[]> {
  const database = new Database(join(state, "synthesis.db"), { readonly: true });
  const query = database.query<{ id: string }, [string]>("select claude_session as id from sessions where key = ?");
  const session = query.get(`user:${key}`);
  database.close();
  const transcript = await findTranscript(session?.id ?? "", claudes.home.env);
  if (transcript === null) return [];
  const rows = readFileSync(transcript, "utf8").trim().split("\n");
  return rows.flatMap((row) => {
    const { type, message } = JSON.parse(row);
    return type === "user" && typeof message.content === "string" ? (message.content.match(MESSAGE_IDS) ?? []) : [];
  });
}

/** Everything ends, and nothing is left. */
async function end(stage: Stage): Promise<void> {
  const { conversations, server, state, schedule, claudes, within } = stage;
  for (const conversation of conversations) {
    if (conversation.said === 0) continue;
    const deleted = control(server, state, `/${sessionKey(conversation)}`, "DELETE");
    const response = await within(deleted, `${conversation.key} is deleted`);
    if (!response.ok) throw new Wrong(`${conversation.key} was not deleted: ${await response.text()}`);
  }
  // Claudes that are started ahead have theirs.
  if (schedule.spares === 0) await within(isAsItWas(stage), "timers and descriptors are as before");
  checkLog(stage);
  const code = await within(server.stop(), "the server ends");
  if (code !== 0) throw new Wrong(`the server ended with ${code}`);
  const ended = async () => {
    while (findLeftovers(claudes.home.base).length > 0) await Bun.sleep(20);
  };
  await within(ended(), "all processes end");
  const left = [
    ...readdirSync(join(state, "run")),
    ...(existsSync(join(state, "server.lock.json")) ? ["the lock"] : []),
  ];
  if (left.length > 0) throw new Wrong(`left in the state folder: ${left}`);
}

function checkLog({ server, mayLog }: Stage): void {
  const errors = server
    .log()
    .split("\n")
    .filter((line) => /"level":"(ERROR|FATAL)"/i.test(line));
  if (errors.length > 0 && !mayLog) throw new Wrong(`logged: ${errors.join("\n")}`);
}

/** Some end a moment later. What may stay is its watch of claude's sessions, and the log of a database in use. */
async function isAsItWas(stage: Stage): Promise<void> {
  for (let left = true; left; ) {
    const { timers, descriptors } = await count(stage);
    left = timers > stage.rested.timers || descriptors > stage.rested.descriptors + 3;
    if (left) await Bun.sleep(100);
  }
}

/** How many timers run in a server and how many descriptors it has open. */
async function count({ server, within }: Stage): Promise<{ timers: number; descriptors: number }> {
  const counted = server.log().match(/^count \d+:/gm)?.length ?? 0;
  process.kill(server.pid, "SIGUSR2");
  const line = await within(server.logged(new RegExp(`^count ${counted + 1}:`)), "the server counts its timers");
  return { timers: Number(/(\d+) timers/.exec(line)?.[1]), descriptors: descriptors(server.pid) };
}
