/** Plays one schedule, and holds what happens against what must. */
import { type Outcome, type Sent, send } from "./client.ts";
import { type Expected, expectedBehind, expectedOf, isAnsweredAt } from "./model.ts";
import { answerOf, type Orders, PLAIN, wholeAnswer } from "./orders.ts";
import { checkRows, endAll } from "./remains.ts";
import type { Round, Schedule } from "./schedule.ts";
import { type Conversation, LAST, openStage, recordOf, type Stage, type Who, Wrong } from "./stage.ts";
import { strikeAll, strikeOne } from "./strike.ts";

/** @throws Wrong that says what is */
export async function runSchedule(schedule: Schedule, who: Who = "stand-ins"): Promise<void> {
  await using stage = await openStage(schedule, who);
  try {
    for (const round of schedule.rounds) await play(stage, round);
    for (const conversation of stage.conversations) if (conversation.said > 0) await talk(stage, conversation, false);
    await checkRows(stage);
    await endAll(stage);
  } catch (error) {
    if (!(error instanceof Wrong) || !process.env.CHAOS_LOG) throw error;
    throw new Wrong(`${error.message}\n${stage.server.log().split("\n").slice(-60).join("\n")}`);
  }
}

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
      // The server has the whole answer and may be killed before its client has.
      if (round.blow === "kill server" && isAnsweredAt(ask.orders, stage.schedule.mode)) await within(over, "it ends");
      for (let place = 0; place < ask.behind; place += 1) {
        const next = say(stage, lead.conversation, PLAIN, true);
        behind.push(next);
        await within(next.sent.opened, `${next.ids} is taken`);
      }
      const go = await strikeOne(stage, ask, lead, claude.pid);
      if (round.blow) held.push(() => claude.say(go));
      else claude.say(go);
      if (go === "drop" || go === "lose") await within(claude.obeyed, `${lead.ids} loses its socket`);
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

/** Holds what came of something said against what must. @param keeps the client says it again if it fails */
async function check(stage: Stage, said: Said, expected: Expected, keeps: boolean): Promise<void> {
  const { schedule, claudes } = stage;
  const { conversation, ids, orders, sent } = said;
  const { told, history } = conversation;
  const outcome = await sent.over;
  const news = expected.told ? ids.filter((id) => !told.includes(id)) : [];
  const whole = wholeAnswer(answerOf([...told, ...news], orders, schedule.mode), schedule.mode);
  // What died before it wrote a message down has forgotten it; one that was interrupted lives, and is only late.
  const mayForget = expected.end === "failed" && !expected.errors.includes("turn_interrupted");
  const isForgotten = mayForget && !claudes.recordsAtOnce && !(await isRecorded(stage, said));
  if (!isForgotten) told.push(...news);
  else if (told.length === 0) stage.emptied += 1;
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
