/** Inflates compressed request bodies: gzip, deflate, br and zstd, also several in a row, as `Content-Encoding` lists. */

import { promisify } from "node:util";
import { brotliDecompress, gunzip, inflate, inflateRaw, zstdDecompress } from "node:zlib";
import type { MiddlewareHandler } from "hono";
import { errorResponse } from "../api/openai-chat/error-response.ts";
import { RequestError } from "../core/errors.ts";
import { type BodyLimit, readBytes } from "./body.ts";

/** Each encoding costs a pass over the whole body. */
const MAX_ENCODINGS = 5;

type Decoder = (bytes: Uint8Array, options: { maxOutputLength: number }) => Promise<Uint8Array>;

const decoder = { gzip: promisify(gunzip), zlib: promisify(inflate), raw: promisify(inflateRaw) };

/** `deflate` in HTTP means the zlib format, but many clients leave out its header of two bytes. */
const hasZlibHeader = ([first = 0, second = 0]: Uint8Array): boolean =>
  (first & 0x0f) === 8 && ((first << 8) | second) % 31 === 0;

const decoders: Record<string, Decoder> = {
  gzip: decoder.gzip,
  "x-gzip": decoder.gzip,
  deflate: (bytes, options) => (hasZlibHeader(bytes) ? decoder.zlib : decoder.raw)(bytes, options),
  br: promisify(brotliDecompress),
  zstd: promisify(zstdDecompress),
};

const SUPPORTED = "gzip, deflate, br, zstd";

/**
 * Middleware that inflates a request's body before a handler reads it.
 * @param limit the largest size of the body as it is sent and after each step; nothing beyond it is read or inflated
 */
export function inflateBody(limit: BodyLimit): MiddlewareHandler {
  return async (c, next) => {
    const encodings = (c.req.header("content-encoding") ?? "")
      .toLowerCase()
      .split(",")
      .map((name) => name.trim())
      .filter((name) => name !== "" && name !== "identity");
    if (encodings.length === 0 || !c.req.raw.body) return next();
    if (encodings.length > MAX_ENCODINGS || encodings.some((name) => !Object.hasOwn(decoders, name))) {
      const message = `The Content-Encoding is not supported. Send the body uncompressed, or with up to ${MAX_ENCODINGS} of ${SUPPORTED}.`;
      const response = errorResponse(new RequestError("unsupported_encoding", message));
      // RFC 9110 asks for this header in a 415 response.
      response.headers.set("accept-encoding", SUPPORTED);
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
          `The request body is not valid ${name} data, although its Content-Encoding says so. Send the body uncompressed.`,
        );
      }
    }
    // Hono looks here before it reads the body of the request. It stores promises, which its type does not say.
    c.req.bodyCache = { arrayBuffer: Promise.resolve(bytes) as unknown as ArrayBuffer };
    return next();
  };
}
