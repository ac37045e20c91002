/**
 * What Claude sessions in a terminal cost. Claude Code reports only the total of a session, some 0.3 s after each answer,
 * and counts on when it resumes the session.
 */
export class SessionCosts {
  /** In US dollars, by the ids of the sessions. */
  readonly #totals = new Map<string, number>();

  /**
   * Notes the newest total.
   * @param isResumed the process has resumed the session, so it may have cost something before
   * @returns what the session has cost since the total before; null when that is unknown
   */
  note(claudeSession: string, total: number, isResumed: boolean): number | null {
    const before = this.#totals.get(claudeSession) ?? (isResumed ? null : 0);
    this.#totals.set(claudeSession, total);
    // A process that was killed did not save its last total, so the next one begins with an earlier total.
    return before === null ? null : Math.max(0, total - before);
  }
}
