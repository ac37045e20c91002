/** Checks that an attack harms no other request: the server keeps running, and no other conversation has to wait. */
import { must, within } from "./check.ts";
import type { Target } from "./target.ts";

/** The longest pause of the event loop that is allowed, in ms of CPU time. */
const MAX_PAUSE_MS = 100;

/** When an attack takes longer, the server is stuck. In ms. */
const ATTACK_TIMEOUT_MS = 60_000;

/** The longest pause in ordinary turns on this machine, in ms. It is measured when the suite begins. */
const baselines = new WeakMap<Target, number>();

/** Measures the pauses of ordinary turns on this machine. */
export async function measureBaseline(target: Target): Promise<void> {
  await target.longestPause();
  for (let turn = 0; turn < 10; turn += 1) await target.say(`turn ${turn}`, "rest");
  baselines.set(target, await target.longestPause());
}

/** Runs an attack. @throws Breach when the server ended, no longer answers, or paused for too long */
export async function runAttack(target: Target, attack: () => Promise<void>): Promise<void> {
  let breach: unknown = null;
  await within(attack(), ATTACK_TIMEOUT_MS, "the attack ends").catch((error) => {
    breach = error;
  });
  // Checked first, because an exit of the server explains a missing response.
  await target.ensureAlive();
  const pause = await target.longestPause();
  if (breach) throw breach;
  const maxPause = MAX_PAUSE_MS + (baselines.get(target) ?? 0);
  must(pause <= maxPause, `the event loop was busy for ${pause.toFixed(0)} ms without a break`);
}
