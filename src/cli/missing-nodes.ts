/** Says on stderr, where it is no part of the output, that a list is not complete. */
import { visibleLine } from "../core/visible-text.ts";

/** @param names of the nodes that did not answer */
export function warnOfMissingNodes(names: readonly string[] = []): void {
  for (const name of names) {
    console.error(`The node ${visibleLine(name)} does not answer, so what it has is missing here.`);
  }
}
