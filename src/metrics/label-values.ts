/**
 * Keeps the number of a label's values bounded. A client can name any agent and any model, and each new value would be a
 * new time series, which Prometheus keeps for weeks.
 */

/** What a name of an agent or a model looks like. Anything else could be a text of a person. */
const NAME = /^[\w.:@/[\]-]{1,64}$/;

const OTHER = "other";

/**
 * @param max how many values the label may have besides `other`
 * @returns a function that gives the label for a value: the value itself, or `other`
 */
export function boundedLabel(max: number): (value: string) => string {
  const known = new Set<string>();
  return (value) => {
    if (known.has(value)) return value;
    if (known.size >= max || !NAME.test(value)) return OTHER;
    known.add(value);
    return value;
  };
}
