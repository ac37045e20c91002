/**
 * What synthesis adds to OpenAI's responses. Everything else has the shape that the types of the `openai` package check.
 * They are imported as types only: the package is not needed at run time.
 */
import type OpenAI from "openai";

type Response = OpenAI.Responses.Response;

/** OpenAI sends this code too, and Codex reads it, but the types do not list it. */
type ErrorCode = OpenAI.Responses.ResponseError["code"] | "context_length_exceeded";

/** A response as it is sent: `output_text` exists only in OpenAI's libraries, which compute it. */
export type ResponseBody = Omit<Response, "output_text" | "error"> & {
  error: (Omit<OpenAI.Responses.ResponseError, "code"> & { code: ErrorCode }) | null;
};

type WithBody<Event> = Event extends { response: Response }
  ? Omit<Event, "response"> & { response: ResponseBody }
  : Event;

/** An event without its number. */
export type StreamEvent = Unnumbered<WithBody<OpenAI.Responses.ResponseStreamEvent>>;

type Unnumbered<Event> = Event extends { sequence_number: number } ? Omit<Event, "sequence_number"> : never;
