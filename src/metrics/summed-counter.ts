/**
 * A counter for what happens with every turn. Its values are added up here and given to the registry when Prometheus asks,
 * because prom-client sorts and hashes the labels with each call.
 */
import { Counter, type Registry } from "prom-client";

interface CounterOptions {
  readonly name: string;
  readonly help: string;
  readonly labelNames: readonly string[];
}

/** @returns adds to the counter: the labels' values, in the order of `labelNames`, and how much */
export function summedCounter(
  registry: Registry,
  options: CounterOptions,
): (values: readonly string[], more: number) => void {
  const sums = new Map<string, { readonly values: readonly string[]; sum: number }>();
  new Counter({
    ...options,
    registers: [registry],
    collect() {
      this.reset();
      for (const { values, sum } of sums.values()) {
        this.inc(Object.fromEntries(options.labelNames.map((name, at) => [name, values[at] ?? ""])), sum);
      }
    },
  });
  return (values, more) => {
    const key = values.join("\n");
    const known = sums.get(key);
    if (known) known.sum += more;
    else sums.set(key, { values, sum: more });
  };
}
