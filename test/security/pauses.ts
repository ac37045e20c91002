/** One request may cost only itself: the server goes on, and no other conversation waits for it. */
import { must, within } from "./check.ts";
import type { Target } from "./target.ts";

/** So long may the event loop be busy at one go, in ms of CPU time. */
const MOST_MS = 100;

/** No attack may take longer, in ms: a server that is deaf for good is found here. */
const ATTACK_MS = 60_000;

/** What a turn without any attack takes on this machine at one go, in ms; measured once, when the suite begins. */
const rests = new WeakMap<Target, number>();

/** Measures what is usual on this machine. */
export async function measureRest(target: Target): Promise<void> {
  await target.longestPause();
  for (let turn = 0; turn < 10; turn += 1) await target.say(`turn ${turn}`, "rest");
  rests.set(target, await target.longestPause());
}

/** Does it, and looks what it has cost. @throws Breach when that was more than itself */
export async function costsOnlyItself(target: Target, attack: () => Promise<void>): Promise<void> {
  let breach: unknown = null;
  await within(attack(), ATTACK_MS, "the attack ends").catch((error) => {
    breach = error;
  });
  // That the server has ended says more than that there was no answer.
  await target.isAlive();
  const pause = await target.longestPause();
  if (breach) throw breach;
  const most = MOST_MS + (rests.get(target) ?? 0);
  must(pause <= most, `the event loop was busy for ${pause.toFixed(0)} ms at one go`);
}
