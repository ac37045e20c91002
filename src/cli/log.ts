/** The log of the server: JSON lines on stderr. Stdout is for people. */
import { configure, getConsoleSink, getJsonLinesFormatter } from "@logtape/logtape";
import type { Config } from "../config/schema.ts";
import { limitRepeats } from "./log-limit.ts";

/** LogTape would print `info` with `console.info`, which writes to stdout. */
const STDERR_ONLY = {
  trace: "error",
  debug: "error",
  info: "error",
  warning: "error",
  error: "error",
  fatal: "error",
} as const;

/** Starts to log. Messages below `lowestLevel` are dropped. */
export async function configureLog(lowestLevel: Config["logLevel"]): Promise<void> {
  const limited = limitRepeats(getConsoleSink({ formatter: getJsonLinesFormatter(), levelMap: STDERR_ONLY }));
  process.on("exit", limited.flush);
  await configure({
    sinks: { stderr: limited.sink },
    loggers: [
      { category: "synthesis", lowestLevel, sinks: ["stderr"] },
      { category: ["logtape", "meta"], lowestLevel: "error", sinks: ["stderr"] },
    ],
  });
}
