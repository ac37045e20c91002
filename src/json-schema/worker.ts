/** The thread that checks values against schemas. A schema can take exponential time, so the server's own thread must not do it. */
import { type CheckRequest, type CheckResponse, READY } from "./check-messages.ts";
import { compile } from "./validator.ts";

declare const self: Worker;

self.onmessage = ({ data }: MessageEvent<CheckRequest>) => postMessage(check(data));
postMessage(READY);

function check({ schema, text, withPatterns }: CheckRequest): CheckResponse {
  const { leftOut, problemOf } = compile(schema, withPatterns);
  try {
    return { leftOut, problem: text === null ? null : problemOf(JSON.parse(text)) };
  } catch {
    // A schema that refers to itself, and to nothing else, overflows the stack.
    return { leftOut: ["the whole schema"], problem: null };
  }
}
