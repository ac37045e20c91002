/** What `GET /v1/sessions/{key}/screen` says: server-sent events whose data is one of these, as JSON. */
import { z } from "zod";

export const screenEvent = z.discriminatedUnion("type", [
  /** Comes first. Whoever draws must have a terminal of just this size. */
  z.object({ type: z.literal("size"), columns: z.number(), rows: z.number() }),
  /** What claude has written on its terminal, in base64: a piece may end in the middle of a character. */
  z.object({ type: z.literal("output"), bytes: z.string() }),
  /** claude is gone. */
  z.object({ type: z.literal("end") }),
]);

export type ScreenEvent = z.infer<typeof screenEvent>;
