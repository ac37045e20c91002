/** Pseudo-random numbers, which are the same for the same seed. */
export interface Random {
  /** 0 to `below` - 1 */
  int(below: number): number;
  pick<T>(from: readonly T[]): T;
  /** True with a probability of 1 in `often`. */
  once(often: number): boolean;
}

/** Mulberry32. @param seed the seed, and what else identifies an input, so that it can be generated alone */
export function random(...seed: (string | number)[]): Random {
  let state = Number(Bun.hash.xxHash32(seed.join("/")));
  const next = () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const int = (below: number) => Math.floor(next() * below);
  return {
    int,
    pick: <T>(from: readonly T[]) => from[int(from.length)] as T,
    once: (often) => int(often) === 0,
  };
}
