/**
 * The events of `GET /v1/sessions/{key}/screen/rows`: the rows of Claude's terminal, for a viewer that has no terminal.
 * Each is the data of one server-sent event, as JSON.
 */
import { z } from "zod";

/** One of the 256 colours of a terminal, or `#rrggbb`. */
const colour = z.union([z.int(), z.string()]);

/** A piece of a row in one style. What is absent is the default. */
const screenRun = z.object({
  text: z.string(),
  fg: colour.optional(),
  bg: colour.optional(),
  bold: z.literal(true).optional(),
  dim: z.literal(true).optional(),
  italic: z.literal(true).optional(),
  underline: z.literal(true).optional(),
  inverse: z.literal(true).optional(),
  strike: z.literal(true).optional(),
});
export type ScreenRun = z.infer<typeof screenRun>;

export const screenRowsEvent = z.discriminatedUnion("type", [
  /** The first event. All rows are empty then. */
  z.object({ type: z.literal("size"), columns: z.number(), rows: z.number() }),
  /** The rows that have changed, each as a whole. */
  z.object({
    type: z.literal("rows"),
    changed: z.array(z.object({ row: z.number(), runs: z.array(screenRun) })),
  }),
  /** The process has exited. */
  z.object({ type: z.literal("end") }),
]);
export type ScreenRowsEvent = z.infer<typeof screenRowsEvent>;
