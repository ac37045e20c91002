/** A request as the server parses it. */
import { chatRequest } from "../../src/api/openai-chat/request.ts";
import { type ParsedRequest, parseRequest } from "../../src/intake/parsed-request.ts";

export const parsedRequest = (body: object, headers = new Headers()): ParsedRequest =>
  parseRequest(chatRequest.parse(body), headers);
