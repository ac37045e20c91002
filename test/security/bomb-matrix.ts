/** Sends every bomb to every entry. */
import { BOMBS } from "./bombs.ts";
import type { Check } from "./check.ts";
import { ENTRIES } from "./entries.ts";
import { runAttack } from "./pauses.ts";
import type { Target } from "./target.ts";

/**
 * @param bytes the size of a bomb, unless its entry accepts less
 * @param names the names of the entries; by default all
 */
export const bombMatrix = (target: Target, bytes: number, names = ENTRIES.map(({ name }) => name)): Check[] =>
  ENTRIES.filter(({ name }) => names.includes(name)).flatMap((entry) =>
    BOMBS.map((bomb) => ({
      name: `bomb of ${bytes} bytes: ${entry.name}, ${bomb.name}`,
      run: () => runAttack(target, () => entry.send(target, entry.wrap(bomb.make(Math.min(bytes, entry.maxBytes))))),
    })),
  );
