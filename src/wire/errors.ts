/** The body of every response with an error status: the shape of OpenAI's API. */
import { z } from "zod";

export const errorBody = z.object({
  error: z.object({
    message: z.string(),
    type: z.string(),
    /** The field of the request that is at fault, or null. */
    param: z.string().nullable(),
    code: z.string(),
  }),
});
export type ErrorBody = z.infer<typeof errorBody>;
