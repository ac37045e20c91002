/** Errors in the shape of Anthropic's API. The `code` is an addition of synthesis: the same one as in its other APIs. */
import type Anthropic from "@anthropic-ai/sdk";
import type { ErrorCode, RequestError } from "../../core/errors.ts";
import { errorHeaders, errorMessage, errorStatus } from "../openai-chat/error-response.ts";

type ErrorType = Anthropic.ErrorResponse["error"]["type"];

export type MessagesErrorBody = Anthropic.ErrorResponse & { error: { code: ErrorCode } };

const BY_STATUS: Readonly<Record<number, ErrorType>> = {
  401: "authentication_error",
  403: "permission_error",
  404: "not_found_error",
  429: "rate_limit_error",
  504: "timeout_error",
};
/** Anthropic's own status, which its libraries know as an overload. */
const OVERLOADED = 529;

const typeOf = (error: RequestError): ErrorType => {
  if (error.code === "overloaded") return "overloaded_error";
  if (error.code === "billing_error") return "billing_error";
  const status = errorStatus(error);
  return BY_STATUS[status] ?? (status < 500 ? "invalid_request_error" : "api_error");
};

export const errorBody = (error: RequestError): MessagesErrorBody => ({
  type: "error",
  error: { type: typeOf(error), message: errorMessage(error), code: error.code },
  request_id: null,
});

export const errorResponse = (error: RequestError): Response =>
  Response.json(errorBody(error), {
    status: error.code === "overloaded" ? OVERLOADED : errorStatus(error),
    headers: errorHeaders(error),
  });
