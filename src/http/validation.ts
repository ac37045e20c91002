/** Validates requests against zod schemas. The error names the field at fault and says what it must be. */
import { zValidator } from "@hono/zod-validator";
import type { MiddlewareHandler, ValidationTargets } from "hono";
import type { z } from "zod";
import { describeIssue, invalidRequest } from "../api/openai-chat/invalid-request.ts";
import { RequestError } from "../core/errors.ts";
import { BODY_LIMIT, parseBytes, readJson, yieldIfLarge } from "./body.ts";

interface Validation {
  readonly target: keyof ValidationTargets;
  readonly schema: z.ZodType;
}

const validations = new WeakMap<object, Validation>();

/** What a handler made by `valid` or `validJson` checks; undefined for any other handler. */
export const validatedBy = (handler: object): Validation | undefined => validations.get(handler);

function noted<Handler extends object>(handler: Handler, validation: Validation): Handler {
  validations.set(handler, validation);
  return handler;
}

/** Validates the query, or another part of a request that is not its body. @throws RequestError if it does not match */
export const valid = <Target extends Exclude<keyof ValidationTargets, "json">, Output, Input>(
  target: Target,
  schema: z.ZodType<Output, Input>,
) =>
  noted(
    zValidator(
      target,
      schema,
      (result) => {
        if (!result.success) throw invalidRequest(result.error);
      },
      // zod compiles only its synchronous parser, which is several times as fast as the asynchronous one.
      { validationFunction: (schema, value) => schema.safeParse(value, { error: describeIssue }) },
    ),
    { target, schema },
  );

/**
 * Validates a JSON body.
 * @param check runs before the validation and throws a RequestError for a body that would take too long to validate
 * @throws RequestError if the body does not match
 */
export function validJson<Output, Input>(
  schema: z.ZodType<Output, Input>,
  check: (body: unknown) => void = () => {},
  // biome-ignore lint/suspicious/noExplicitAny: it fits apps of any environment, as Hono's own validators do
): MiddlewareHandler<any, string, { in: { json: Input }; out: { json: Output } }> {
  return noted(
    async (c, next) => {
      if (!/^application\/([\w.-]+\+)?json\b/i.test(c.req.header("content-type") ?? "")) {
        throw new RequestError(
          "invalid_json",
          "The Content-Type is not JSON. Send the body as JSON, with content-type: application/json.",
        );
      }
      // Set by `inflateBody` if the body was compressed.
      const inflated = await (c.req.bodyCache.arrayBuffer as unknown as Promise<Uint8Array> | undefined);
      const body = inflated ? await parseBytes(inflated) : await readJson(c.req.raw, BODY_LIMIT);
      check(body);
      const result = schema.safeParse(body, { error: describeIssue });
      if (!result.success) throw invalidRequest(result.error);
      c.req.addValidatedData("json", result.data as object);
      await yieldIfLarge(c.req.raw);
      await next();
    },
    { target: "json", schema },
  );
}
