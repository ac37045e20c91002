/**
 * Request bodies, read without stopping the server: a large one is scanned and decoded in slices, and between two
 * slices other requests have their turn.
 */
import { setImmediate } from "node:timers/promises";
import { RequestError } from "../core/errors.ts";
import { JSON_BOUNDS, type JsonBounds, JsonGate, JsonRefused } from "../core/json-gate.ts";

/** Gives other requests their turn between two steps of a large one. */
export const yieldIfLarge = ({ headers }: Request): Promise<void> | undefined =>
  // Not known of a body that comes in chunks.
  Number(headers.get("content-length") ?? Number.NaN) <= SLICE_BYTES ? undefined : setImmediate();

/** Scanning a slice takes about half a millisecond. */
const SLICE_BYTES = 64 * 1024;
/** After so long, in ms, other work has its turn. */
const TURN_MS = 8;

export interface BodyLimit {
  readonly maxBytes: number;
  /** The error for a larger body. */
  readonly tooLarge: () => RequestError;
}

/**
 * Reads a body as it arrives, and no more than `maxBytes` of it.
 * @param onSlice takes the slices of the body in order; what it throws ends the reading
 * @throws ApiError for a body that is too large, or that the client did not send in full
 */
export async function readBytes(
  request: Request,
  { maxBytes, tooLarge }: BodyLimit,
  onSlice: (slice: Uint8Array) => void = () => {},
): Promise<Uint8Array> {
  const announced = Number(request.headers.get("content-length") ?? Number.NaN);
  if (announced > maxBytes) throw tooLarge();
  // Nearly all requests are small; to stream them would take longer than all the rest.
  if (announced <= SLICE_BYTES) {
    const bytes = await arrived(request.bytes());
    onSlice(bytes);
    return bytes;
  }
  const reader = request.body?.getReader();
  if (!reader) return new Uint8Array(0);
  const nextTurn = turns();
  let buffer = new Uint8Array(SLICE_BYTES);
  let size = 0;
  try {
    for (;;) {
      const { done, value } = await arrived(reader.read());
      if (done) return buffer.subarray(0, size);
      const start = size;
      size += value.length;
      if (size > maxBytes) throw tooLarge();
      if (size > buffer.length) buffer = grown(buffer, start, Math.max(size, Math.min(maxBytes, buffer.length * 2)));
      buffer.set(value, start);
      for (const slice of slices(value)) {
        onSlice(slice);
        await nextTurn();
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

/** @throws ApiError when the connection ended first; no client is left to read it */
async function arrived<T>(reading: Promise<T>): Promise<T> {
  try {
    return await reading;
  } catch {
    throw new RequestError("invalid_request", "The body did not arrive in full. Send the request again.");
  }
}

/**
 * Reads a body as JSON.
 * @throws ApiError (400) for what is no JSON or goes beyond `bounds`, and as `readBytes` does
 */
export async function readJson(request: Request, limit: BodyLimit, bounds = JSON_BOUNDS): Promise<unknown> {
  const gate = new JsonGate(bounds);
  return refusing(async () => parsed(await readBytes(request, limit, (slice) => gate.write(slice))));
}

/** The same for bytes that have arrived, as those of a body that was compressed. */
export async function parseBytes(bytes: Uint8Array, bounds: JsonBounds = JSON_BOUNDS): Promise<unknown> {
  const gate = new JsonGate(bounds);
  const nextTurn = turns();
  return refusing(async () => {
    for (const slice of slices(bytes)) {
      gate.write(slice);
      await nextTurn();
    }
    return parsed(bytes);
  });
}

async function parsed(bytes: Uint8Array): Promise<unknown> {
  const decoder = new TextDecoder();
  if (bytes.length <= SLICE_BYTES) return JSON.parse(decoder.decode(bytes));
  const nextTurn = turns();
  let text = "";
  for (const slice of slices(bytes)) {
    text += decoder.decode(slice, { stream: true });
    await nextTurn();
  }
  text += decoder.decode();
  await setImmediate();
  const value = JSON.parse(text);
  // What is done with the value is for another turn.
  await setImmediate();
  return value;
}

async function refusing<T>(read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof JsonRefused) throw new RequestError("invalid_request", `The body ${error.message}`);
    // Not passed on: the parser's message quotes the body, and that may hold the user's text.
    if (error instanceof SyntaxError) {
      throw new RequestError("invalid_json", "The body is not valid JSON. Send one JSON object.");
    }
    throw error;
  }
}

function* slices(bytes: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += SLICE_BYTES) yield bytes.subarray(at, at + SLICE_BYTES);
}

/** Gives the other work a turn whenever this one has taken its time. */
function turns(): () => Promise<void> | undefined {
  let since = performance.now();
  return () => {
    if (performance.now() - since < TURN_MS) return undefined;
    return setImmediate().then(() => {
      since = performance.now();
    });
  };
}
