/** What the other dialects make of a request: the form of chat completions, which everything behind the routes reads. */
import type { ChatRequest } from "./request.ts";

export interface ChatForm {
  readonly body: ChatRequest;
  /** The name in the client's API of a field of `body`. */
  readonly fieldName: (param: string) => string;
}
