/**
 * `/page`: the files of the page. They need no key, since they hold no data. The page gets its data over the control API,
 * with a token of its own.
 */
import { Hono } from "hono";
import { RequestError } from "../../core/errors.ts";
import type { Env } from "../env.ts";
import { loadPage, type PageFile, type PageFiles } from "../page-bundle.ts";

/** Only the page's own files, from its own address, and nothing inline. No other page can embed it. */
const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self'",
  "img-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

const HEADERS = {
  "content-security-policy": CONTENT_SECURITY_POLICY,
  "cross-origin-opener-policy": "same-origin",
  "referrer-policy": "no-referrer",
  "x-frame-options": "DENY",
  vary: "accept-encoding",
};

export function pageRoutes(): Hono<Env> {
  let loading: Promise<PageFiles> | undefined;
  return new Hono<Env>()
    .get("/", (c) => send(c.req.raw, ""))
    .get("/:file", (c) => send(c.req.raw, c.req.param("file")));

  async function send(request: Request, name: string): Promise<Response> {
    loading ??= loadPage();
    const file = (await loading.catch(forget)).get(name);
    if (!file) throw new RequestError("unknown_url", "The page has no such file. Reload the page.");
    const headers = { ...HEADERS, etag: file.etag, "cache-control": cacheControl(file) };
    if (request.headers.get("if-none-match") === file.etag) return new Response(null, { status: 304, headers });
    const encoding = encodingFor(request.headers.get("accept-encoding") ?? "");
    return new Response(file.bytes[encoding], {
      headers: {
        ...headers,
        "content-type": file.type,
        ...(encoding === "identity" ? {} : { "content-encoding": encoding }),
      },
    });
  }

  /** The next request tries again, for example when a source file has been corrected. */
  function forget(error: unknown): never {
    loading = undefined;
    throw error;
  }
}

/** A name with a hash stands for one content forever. */
const cacheControl = ({ isImmutable }: PageFile): string =>
  isImmutable ? "public, max-age=31536000, immutable" : "no-cache";

function encodingFor(accepted: string): keyof PageFile["bytes"] {
  const names = accepted.split(",").flatMap((one) => (/;\s*q=0(\.0*)?\s*$/.test(one) ? [] : one.split(";")[0]?.trim()));
  return names.includes("br") ? "br" : names.includes("gzip") ? "gzip" : "identity";
}
