/** What a request brings must fit; the error says in plain words what does not, and how it should be. */
import { zValidator } from "@hono/zod-validator";
import type { ValidationTargets } from "hono";
import type { z } from "zod";
import { invalidRequest, inWords } from "../openai/invalid.ts";

/** Lets requests through whose body or query fits; throws ApiError (400) for the others. */
export const valid = <Target extends keyof ValidationTargets, Output, Input>(
  target: Target,
  schema: z.ZodType<Output, Input>,
) =>
  zValidator(
    target,
    schema,
    (result) => {
      if (!result.success) throw invalidRequest(result.error);
    },
    // Several times as fast as the asynchronous one, for which zod compiles nothing.
    { validationFunction: (schema, value) => schema.safeParse(value, { error: inWords }) },
  );
