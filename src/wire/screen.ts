/** The events of `GET /v1/sessions/{key}/screen`. Each is the data of one server-sent event, as JSON. */
import { z } from "zod";

export const screenEvent = z.discriminatedUnion("type", [
  /** The first event. A viewer must draw on a terminal of exactly this size. */
  z.object({ type: z.literal("size"), columns: z.number(), rows: z.number() }),
  /** What Claude Code wrote to its terminal, in base64, since a piece may end in the middle of a character. */
  z.object({ type: z.literal("output"), bytes: z.string() }),
  /** The process has exited. */
  z.object({ type: z.literal("end") }),
]);

export type ScreenEvent = z.infer<typeof screenEvent>;
