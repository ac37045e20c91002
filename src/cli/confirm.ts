/** Asks a person a yes-or-no question at the terminal. */
import { createInterface } from "node:readline/promises";
import { visibleText } from "../core/visible-text.ts";

/** Any answer but `y` or `yes` is a no. Without a terminal the answer is no. */
export async function confirm(question: string): Promise<boolean> {
  if (!process.stdin.isTTY) return false;
  const terminal = createInterface({ input: process.stdin, output: process.stdout });
  const answer = await terminal.question(`${visibleText(question)} [y/N] `);
  terminal.close();
  return /^y(es)?$/i.test(answer.trim());
}
