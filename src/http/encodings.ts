/** Bodies that a client has compressed: gzip, deflate, br and zstd, one after the other, as `Content-Encoding` says. */

import { promisify } from "node:util";
import { brotliDecompress, gunzip, inflate, inflateRaw, zstdDecompress } from "node:zlib";
import type { MiddlewareHandler } from "hono";
import { errorResponse } from "../api/openai-chat/error-response.ts";
import { RequestError } from "../core/errors.ts";
import { type BodyLimit, readBytes } from "./body.ts";

/** Each one costs a pass over the whole body. */
const MOST_ENCODINGS = 5;

type Decoder = (bytes: Uint8Array, options: { maxOutputLength: number }) => Promise<Uint8Array>;

const decoder = { gzip: promisify(gunzip), zlib: promisify(inflate), raw: promisify(inflateRaw) };

/** HTTP's deflate is zlib's format, but many clients leave out zlib's two bytes of header. */
const hasZlibHeader = ([first = 0, second = 0]: Uint8Array): boolean =>
  (first & 0x0f) === 8 && ((first << 8) | second) % 31 === 0;

const decoders: Record<string, Decoder> = {
  gzip: decoder.gzip,
  "x-gzip": decoder.gzip,
  deflate: (bytes, options) => (hasZlibHeader(bytes) ? decoder.zlib : decoder.raw)(bytes, options),
  br: promisify(brotliDecompress),
  zstd: promisify(zstdDecompress),
};

const UNDERSTOOD = "gzip, deflate, br, zstd";

/**
 * Inflates a request's body before it is read. It comes behind the key.
 * @param limit how large a body may be as it is sent, and may become at each step; no more of it is read or inflated
 */
export function inflateBody(limit: BodyLimit): MiddlewareHandler {
  return async (c, next) => {
    const encodings = (c.req.header("content-encoding") ?? "")
      .toLowerCase()
      .split(",")
      .map((name) => name.trim())
      .filter((name) => name !== "" && name !== "identity");
    if (encodings.length === 0 || !c.req.raw.body) return next();
    if (encodings.length > MOST_ENCODINGS || encodings.some((name) => !Object.hasOwn(decoders, name))) {
      const message = `This Content-Encoding is not understood. Send the body as it is, or with up to ${MOST_ENCODINGS} of ${UNDERSTOOD}.`;
      const response = errorResponse(new RequestError("unsupported_encoding", message));
      // As RFC 9110 wants it with a 415.
      response.headers.set("accept-encoding", UNDERSTOOD);
      return response;
    }
    let bytes = await readBytes(c.req.raw, limit);
    for (const name of encodings.toReversed()) {
      try {
        bytes = await (decoders[name] as Decoder)(bytes, { maxOutputLength: limit.maxBytes });
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === "ERR_BUFFER_TOO_LARGE") throw limit.tooLarge();
        throw new RequestError(
          "invalid_request",
          `The body is not valid ${name} data, though its Content-Encoding says so. Send it again, or uncompressed.`,
        );
      }
    }
    // Hono reads a body from here before it asks the request. Its type leaves out that it keeps promises.
    c.req.bodyCache = { arrayBuffer: Promise.resolve(bytes) as unknown as ArrayBuffer };
    return next();
  };
}
