/**
 * Reads request bodies without blocking the event loop. A large body is scanned and decoded in slices, and other requests
 * run between two slices.
 */
import { setImmediate } from "node:timers/promises";
import { RequestError } from "../core/errors.ts";
import { JSON_BOUNDS, type JsonBounds, JsonGate, JsonRejected } from "../core/json-gate.ts";
import { MEGABYTE } from "../core/machine.ts";

/** Lets other requests run between two steps that are slow for a large body. */
export const yieldIfLarge = ({ headers }: Request): Promise<void> | undefined =>
  // A chunked body has no content-length, and counts as large.
  Number(headers.get("content-length") ?? Number.NaN) <= SMALL_BYTES ? undefined : setImmediate();

/**
 * A body up to this size is read in one piece: scanning it takes about two milliseconds, and reading it in slices delays
 * the message by several. Agents such as OpenClaw send 50 to 200 kB with each message.
 */
const SMALL_BYTES = 256 * 1024;
/** Scanning a slice takes about half a millisecond. */
const SLICE_BYTES = 64 * 1024;
/** Other requests run after this much work. */
const MAX_BLOCKING_MS = 8;

export interface BodyLimit {
  readonly maxBytes: number;
  /** Creates the error for a larger body. */
  readonly tooLarge: () => RequestError;
}

const MAX_BODY_MB = 32;

/** The limit of a client's request. Hooks have a larger one of their own. */
export const BODY_LIMIT: BodyLimit = {
  maxBytes: MAX_BODY_MB * MEGABYTE,
  tooLarge: () =>
    new RequestError(
      "request_too_large",
      `The request body is larger than ${MAX_BODY_MB} MB. Send fewer or smaller images, or less history.`,
    ),
};

/**
 * Reads a body while it arrives, up to `maxBytes`.
 * @param onSlice is called with each slice of the body, in order, and whether it is the whole body; an error from it stops
 *   the reading
 * @throws RequestError if the body is too large, or the client did not send all of it
 */
export async function readBytes(
  request: Request,
  { maxBytes, tooLarge }: BodyLimit,
  onSlice: (slice: Uint8Array, isWhole: boolean) => void = () => {},
): Promise<Uint8Array> {
  const contentLength = Number(request.headers.get("content-length") ?? Number.NaN);
  if (contentLength > maxBytes) throw tooLarge();
  // Nearly all requests are small, and streaming a small body takes longer than all the rest of its handling.
  if (contentLength <= SMALL_BYTES) {
    const bytes = await received(request.bytes());
    onSlice(bytes, true);
    return bytes;
  }
  const reader = request.body?.getReader();
  if (!reader) return new Uint8Array(0);
  const yieldInTime = yielder();
  let buffer = new Uint8Array(SLICE_BYTES);
  let size = 0;
  try {
    for (;;) {
      const { done, value } = await received(reader.read());
      if (done) return buffer.subarray(0, size);
      const start = size;
      size += value.length;
      if (size > maxBytes) throw tooLarge();
      if (size > buffer.length) buffer = grown(buffer, start, Math.max(size, Math.min(maxBytes, buffer.length * 2)));
      buffer.set(value, start);
      for (const slice of slices(value)) {
        onSlice(slice, false);
        await yieldInTime();
      }
    }
  } catch (error) {
    await reader.cancel().catch(() => {});
    throw error;
  }
}

function grown(buffer: Uint8Array, used: number, size: number): Uint8Array<ArrayBuffer> {
  const larger = new Uint8Array(size);
  larger.set(buffer.subarray(0, used));
  return larger;
}

/** @throws RequestError if the connection closed first, for the log only: no client is left to read it */
async function received<T>(reading: Promise<T>): Promise<T> {
  try {
    return await reading;
  } catch {
    throw new RequestError("invalid_request", "The request body is incomplete. Send the request again.");
  }
}

/**
 * Reads a body as JSON.
 * @throws RequestError if the body is not valid JSON or exceeds `bounds`, and for the reasons of `readBytes`
 */
export async function readJson(request: Request, limit: BodyLimit, bounds = JSON_BOUNDS): Promise<unknown> {
  const gate = new JsonGate(bounds);
  return asRequestErrors(async () =>
    parseSlices(await readBytes(request, limit, (slice, isWhole) => gate.write(slice, isWhole))),
  );
}

/** Parses a body that is in memory already, because it had to be inflated. @throws RequestError as `readJson` does */
export async function parseBytes(bytes: Uint8Array, bounds: JsonBounds = JSON_BOUNDS): Promise<unknown> {
  const gate = new JsonGate(bounds);
  const yieldInTime = yielder();
  return asRequestErrors(async () => {
    for (const slice of slices(bytes)) {
      gate.write(slice);
      await yieldInTime();
    }
    return parseSlices(bytes);
  });
}

async function parseSlices(bytes: Uint8Array): Promise<unknown> {
  const decoder = new TextDecoder();
  if (bytes.length <= SMALL_BYTES) return JSON.parse(decoder.decode(bytes));
  const yieldInTime = yielder();
  const pieces: string[] = [];
  for (const slice of slices(bytes)) {
    pieces.push(decoder.decode(slice, { stream: true }));
    await yieldInTime();
  }
  pieces.push(decoder.decode());
  await setImmediate();
  // Joined in a step of its own: a string made with `+=` would be joined by the parser, which doubles its pause.
  const text = pieces.join("");
  await setImmediate();
  const value = JSON.parse(text);
  // Parsing took its time: other requests run before the caller works with the value.
  await setImmediate();
  return value;
}

async function asRequestErrors<T>(read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof JsonRejected) throw new RequestError("invalid_request", `The request body ${error.message}`);
    // The parser's message is dropped: it quotes the body, which may hold the user's text.
    if (error instanceof SyntaxError) {
      throw new RequestError("invalid_json", "The request body is not valid JSON. Send one JSON object.");
    }
    throw error;
  }
}

function* slices(bytes: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += SLICE_BYTES) yield bytes.subarray(at, at + SLICE_BYTES);
}

/** Returns a function that lets other requests run if it was called for `MAX_BLOCKING_MS` without doing so. */
function yielder(): () => Promise<void> | undefined {
  let since = performance.now();
  return () => {
    if (performance.now() - since < MAX_BLOCKING_MS) return undefined;
    return setImmediate().then(() => {
      since = performance.now();
    });
  };
}
