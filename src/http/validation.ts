/** What a request brings must fit; the error says in plain words what does not, and how it should be. */
import { zValidator } from "@hono/zod-validator";
import type { MiddlewareHandler, ValidationTargets } from "hono";
import type { z } from "zod";
import { invalidRequest, inWords } from "../api/openai-chat/invalid-request.ts";
import { RequestError } from "../core/errors.ts";
import { MEGABYTE } from "../core/machine.ts";
import { type BodyLimit, parseBytes, readJson, yieldIfLarge } from "./body.ts";

const MAX_BODY_MB = 32;

export const BODY_LIMIT: BodyLimit = {
  maxBytes: MAX_BODY_MB * MEGABYTE,
  tooLarge: () =>
    new RequestError(
      "request_too_large",
      `The request is larger than ${MAX_BODY_MB} MB. Send less of it: fewer or smaller images, or less history.`,
    ),
};

/** Lets requests through whose query fits; throws ApiError (400) for the others. */
export const valid = <Target extends keyof ValidationTargets, Output, Input>(
  target: Exclude<Target, "json">,
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

/**
 * Lets requests through whose body is JSON that fits; throws ApiError (4xx) for the others.
 * @param check looks at the body before it is validated
 */
export const validJson =
  <Output, Input>(
    schema: z.ZodType<Output, Input>,
    check: (body: unknown) => void = () => {},
    // biome-ignore lint/suspicious/noExplicitAny: a handler for any environment, as Hono types its own validators
  ): MiddlewareHandler<any, string, { in: { json: Input }; out: { json: Output } }> =>
  async (c, next) => {
    if (!/^application\/([\w.-]+\+)?json\b/i.test(c.req.header("content-type") ?? "")) {
      throw new RequestError("invalid_json", "Send the body as JSON, with content-type: application/json.");
    }
    // There when the body was compressed (`encodings.ts`).
    const inflated = await (c.req.bodyCache.arrayBuffer as unknown as Promise<Uint8Array> | undefined);
    const body = inflated ? await parseBytes(inflated) : await readJson(c.req.raw, BODY_LIMIT);
    check(body);
    const result = schema.safeParse(body, { error: inWords });
    if (!result.success) throw invalidRequest(result.error);
    c.req.addValidatedData("json", result.data as object);
    await yieldIfLarge(c.req.raw);
    await next();
  };
