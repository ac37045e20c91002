/** What the commands write for people. Much of it comes from outside: session keys, folders, commands of Claude's. */
import { visibleJson, visibleText } from "../core/visible-text.ts";

/** Writes lines to stdout; nothing in them can steer the terminal. */
export const print = (text: string): void => console.log(visibleText(text));

/** Writes a value as JSON, for people and programs. */
export const printJson = (value: unknown): void => console.log(visibleJson(value));
