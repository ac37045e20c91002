/** Runs one schedule and compares what happens with what the schedule requires. */
import { type Outcome, type SentRequest, send } from "./client.ts";
import { type Expected, expectedOutcome, expectedQueued, isAnsweredAt } from "./expected.ts";
import { checkRows, checkShutdown } from "./final-checks.ts";
import { exitOf, injectFault, injectServerFault } from "./inject-faults.ts";
import { answerOf, DEFAULT_ORDERS, type Orders, wholeAnswer } from "./orders.ts";
import type { Round, Schedule } from "./schedule.ts";
import {
  type ChaosWorld,
  CLOSE_CONNECTION,
  type ClaudeKind,
  type Conversation,
  createChaosWorld,
  recordOf,
  Violation,
} from "./world.ts";

/** Runs a schedule in a world of its own. @throws Violation when the program does something it must not */
export async function runSchedule(schedule: Schedule, who: ClaudeKind = "stand-ins"): Promise<void> {
  await using world = await createChaosWorld(schedule, who);
  try {
    for (const round of schedule.rounds) await runRound(world, round);
    for (const conversation of world.conversations)
      if (conversation.sent > 0) await exchange(world, conversation, false);
    await checkRows(world);
    await checkShutdown(world);
  } catch (error) {
    if (!(error instanceof Violation) || !process.env.CHAOS_LOG) throw error;
    throw new Violation(`${error.message}\n${world.server.log().split("\n").slice(-60).join("\n")}`);
  }
}

interface SentMessage {
  readonly conversation: Conversation;
  /** The ids of its messages: failed earlier ones, then the new one. */
  readonly ids: readonly string[];
  readonly orders: Orders;
  readonly request: SentRequest;
}

/**
 * Sends the next message of a conversation, together with the failed ones that its client sends again.
 * @param again sends only those
 */
function sendMessage(
  { ordersServer, server }: ChaosWorld,
  conversation: Conversation,
  orders: Orders,
  stream: boolean,
  again = false,
): SentMessage {
  const { client, key, history, pending } = conversation;
  if (!again) conversation.sent += 1;
  const ids = again ? pending : [...pending, `#${key}m${conversation.sent}`];
  ordersServer.order(ids.at(-1) ?? "", orders);
  const asked = ids.map((id) => ({ role: "user" as const, content: messageText(id) }));
  const messages = client === "whole" ? [...history, ...asked] : asked;
  const body = { model: "synthesis-claude-bridge", stream, user: key, messages };
  return { conversation, ids, orders, request: send((signal) => server.post(body, CLOSE_CONNECTION, signal)) };
}

/** The claude that got the conversation's last message. */
function pidOfLastMessage({ server }: ChaosWorld, { key }: Conversation): number | null {
  const sent = [...server.log().matchAll(new RegExp(`"message sent".*"session":"user:${key}".*"pid":(\\d+)`, "g"))];
  return sent.length > 0 ? Number(sent.at(-1)?.[1]) : null;
}

const messageText = (id: string) => `${id}: and now?`;

/** Sends a message without any fault and checks its answer. */
async function exchange(world: ChaosWorld, conversation: Conversation, again: boolean): Promise<void> {
  const sent = sendMessage(world, conversation, DEFAULT_ORDERS, true, again);
  await world.within(sent.request.outcome, `${sent.ids} ends`);
  await check(world, sent, { end: "answered", errors: [], delivered: true }, false);
}

async function runRound(world: ChaosWorld, round: Round): Promise<void> {
  const { within } = world;
  const played = round.messages.map((ask) => {
    const conversation = world.conversations[ask.conversation] as Conversation;
    return { ask, lead: sendMessage(world, conversation, ask.orders, ask.stream), behind: [] as SentMessage[] };
  });
  const releases: (() => void)[] = [];
  await Promise.all(
    played.map(async ({ ask, lead, behind }) => {
      const { outcome } = lead.request;
      if (ask.orders.hold === null) return void (await within(outcome, `${lead.ids} ends`));
      const arrived = world.ordersServer.held(lead.ids.at(-1) ?? "");
      // A client may get its answer before Claude reaches its point. After an error the point is never reached.
      const early = outcome.then(({ finished }) => {
        if (finished === 0) return null;
        // After its answer an idle claude may be stopped before it reaches its point.
        const stopped = world.server.logged(exitOf(pidOfLastMessage(world, lead.conversation))).then(() => null);
        return Promise.race([arrived, stopped]);
      });
      const claude = await within(Promise.race([arrived, early]), `${lead.ids} reaches its point`);
      if (!claude) return;
      // The server has the whole answer before its client does, and must not be killed in between.
      if (round.serverFault === "kill server" && isAnsweredAt(ask.orders, world.schedule.mode))
        await within(outcome, "it ends");
      for (let position = 0; position < ask.queued; position += 1) {
        const next = sendMessage(world, lead.conversation, DEFAULT_ORDERS, true);
        behind.push(next);
        await within(next.request.opened, `${next.ids} is accepted`);
      }
      const command = await injectFault(world, ask, lead, claude.pid);
      if (round.serverFault) releases.push(() => claude.send(command));
      else claude.send(command);
      if (command === "half line") await within(world.server.logged(exitOf(claude.pid)), "the server notices the exit");
      if (command === "drop" || command === "lose") {
        // After its answer an idle claude may be stopped before it has reported that it obeyed.
        const stopped = world.server.logged(exitOf(claude.pid));
        await within(Promise.race([claude.obeyed, stopped]), `${lead.ids} loses its socket`);
      }
    }),
  );
  const all = played.flatMap(({ lead, behind }) => [lead, ...behind]);
  await injectServerFault(world, round.serverFault, () => {
    for (const release of releases) release();
    return Promise.all(all.map(({ ids, request }) => within(request.outcome, `${ids} ends`)));
  });
  for (const { ask, lead, behind } of played) {
    const then = behind.map((_, position) => expectedQueued(round, position));
    // After a later message was answered, the same text is a new message.
    const again = ask.onFailure !== "forget" && then.every(({ end }) => end === "failed");
    const keeps = again && (ask.onFailure === "again" || lead.conversation.client === "whole");
    await check(world, lead, expectedOutcome(ask, round, world.schedule, world.claudes.failure), keeps);
    const { pending } = lead.conversation;
    for (const [position, one] of behind.entries()) await check(world, one, then[position] as Expected, false);
    lead.conversation.pending = pending;
  }
  for (const { ask, lead } of played) {
    if (lead.conversation.pending.length > 0 && ask.onFailure === "again")
      await exchange(world, lead.conversation, true);
  }
}

/** Compares the outcome of a message with the expected one. @param keeps the client sends it again if it fails */
async function check(world: ChaosWorld, message: SentMessage, expected: Expected, keeps: boolean): Promise<void> {
  const { schedule, claudes } = world;
  const { conversation, ids, orders, request } = message;
  const { delivered, history } = conversation;
  const outcome = await request.outcome;
  const news = expected.delivered ? ids.filter((id) => !delivered.includes(id)) : [];
  const whole = wholeAnswer(answerOf([...delivered, ...news], orders, schedule.mode), schedule.mode);
  // A claude that died before it recorded a message has lost it. An interrupted one lives and records it later.
  const mayBeLost = expected.end === "failed" && !expected.errors.includes("turn_interrupted");
  const isLost = mayBeLost && !claudes.recordsAtOnce && !(await isRecorded(world, message));
  if (!isLost) delivered.push(...news);
  else if (delivered.length === 0) world.lostSessions += 1;
  const text = orders.asksPermission ? outcome.text.replace(REFUSAL_NOTE, "") : outcome.text;
  const wrong = difference({ ...outcome, text }, expected, whole);
  if (wrong) {
    throw new Violation(`${ids} ${wrong}\nexpected: ${JSON.stringify(expected)}\nseen: ${JSON.stringify(outcome)}`);
  }
  conversation.pending = expected.end === "failed" && keeps ? [...ids] : [];
  if (expected.end !== "answered") return;
  for (const id of ids) history.push({ role: "user", content: messageText(id) });
  history.push({ role: "assistant", content: outcome.text });
}

/** The answer says which tool was refused. */
const REFUSAL_NOTE = /\[synthesis: Claude asked to use Bash.*?\](?:\n\n|$)/s;

const isRecorded = async (world: ChaosWorld, { conversation, ids }: SentMessage) =>
  (await recordOf(world, conversation)).includes(ids.at(-1) ?? "");

/** How an outcome differs from the expected one; null when it does not. */
function difference({ text, finished, errors, broken }: Outcome, expected: Expected, whole: string): string | null {
  switch (expected.end) {
    case "answered":
      if (finished !== 1 || errors.length > 0 || broken) return "was not answered exactly once";
      return text === whole ? null : `should have been answered with ${JSON.stringify(whole)}`;
    case "failed": {
      const delivered = broken && errors.length === 0 ? ["broken"] : errors;
      if (finished > 0 || delivered.length !== 1 || !expected.errors.includes(delivered[0] ?? ""))
        return "did not fail as expected";
      return whole.startsWith(text) ? null : `should have shown only a beginning of ${JSON.stringify(whole)}`;
    }
    case "left":
      return null;
  }
}
