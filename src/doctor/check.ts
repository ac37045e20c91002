/** What `synthesis doctor` reports about one subject. */

export interface Check {
  /** Names the finding, such as `login.missing`. Unlike the texts below it does not change. */
  readonly id: string;
  /** The subject. */
  readonly name: string;
  /** With a `warning` synthesis may work. With `failed` it will not. */
  readonly result: "ok" | "warning" | "failed";
  /** What was found: a phrase that follows the name and a colon. */
  readonly found: string;
  /** What to do about a warning or a failure, in whole sentences. */
  readonly advice?: string;
}

export interface Subject {
  ok(found: string): Check;
  warning(finding: string, found: string, advice: string): Check;
  failed(finding: string, found: string, advice: string): Check;
}

/**
 * Creates the checks of one subject.
 * @param id the part of their ids before the dot; the finding follows it
 * @param name the subject as people read it
 */
export const subject = (id: string, name = id): Subject => ({
  ok: (found) => ({ id: `${id}.ok`, name, result: "ok", found }),
  warning: (finding, found, advice) => ({ id: `${id}.${finding}`, name, result: "warning", found, advice }),
  failed: (finding, found, advice) => ({ id: `${id}.${finding}`, name, result: "failed", found, advice }),
});
