/**
 * Prints to stdout. Much of what the commands print comes from outside, such as session keys, folders and Claude's
 * commands, and must not control the terminal.
 */
import { visibleJson, visibleText } from "../core/visible-text.ts";

/** Prints text. Control characters in it are shown by their code points. */
export const print = (text: string): void => console.log(visibleText(text));

/** Prints a value as JSON. Control characters in it are escaped. */
export const printJson = (value: unknown): void => console.log(visibleJson(value));
