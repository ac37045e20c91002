/** Errors name the fields of the chat form. The client knows them by the names of this API. */
import { RequestError } from "../core/errors.ts";

/** The same error with the names that the client knows. Any other error stays the same. */
export function withFieldNames(error: unknown, fieldName: (param: string) => string): unknown {
  if (!(error instanceof RequestError) || error.param === null) return error;
  const { code, message, param, retryAfter, workDone } = error;
  const name = fieldName(param);
  if (name === param) return error;
  return new RequestError(code, message.replaceAll(param, name), { param: name, retryAfter, workDone });
}
