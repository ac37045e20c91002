/** Sends a request on to the node that has its conversation, and streams the answer back. A request is forwarded once. */
import { setTimeout } from "node:timers/promises";
import { getLogger } from "@logtape/logtape";
import type { Context } from "hono";
import { type Clock, systemClock } from "../core/clock.ts";
import { RequestError } from "../core/errors.ts";
import type { MessageCounts } from "../core/message-counts.ts";
import type { NodeTrust } from "../fleet/trust.ts";
import type { Env } from "./env.ts";
import { FORWARDED_HEADER } from "./guard.ts";
import { disableIdleTimeout, restoreIdleTimeout } from "./idle-timeout.ts";
import { watchNode } from "./node-watch.ts";

const log = getLogger(["synthesis", "http"]);

interface ForwardTarget {
  /** The base URL of the node. */
  readonly url: string;
  /** How much is left of the node's lease, as far as this node knows now. It grows whenever a renewal is read. */
  readonly leaseLeftMs: () => number;
}

/**
 * Sends a request on. It is aborted when its client disconnects, when the node's lease ends, and when the node is out of
 * reach: until then a node that is silent may still be working on the answer.
 * @param body the request's body, already inflated; null if it has none
 * @param deadline aborts the request as well
 * @returns the node's answer, whatever its status
 * @throws RequestError (`node_unavailable`) when the node does not answer
 */
export type Forward = (
  c: Context<Env>,
  body: Uint8Array | null,
  to: ForwardTarget,
  deadline?: AbortSignal,
) => Promise<Response>;

interface ForwardDeps {
  readonly trust: NodeTrust;
  /** All nodes have the same. */
  readonly controlKey: string;
  /** Counts the requests by their outcome. */
  readonly messages: Pick<MessageCounts, "note">;
  readonly clock?: Clock;
}

/** Between two attempts to send a request on, in ms. */
const PAUSES_MS = [20, 200];
const CONNECTION_FAILURES = ["ECONNREFUSED", "ECONNRESET"];

export function createForward({ trust, controlKey, messages, clock = systemClock }: ForwardDeps): Forward {
  const send = (url: string, init: RequestInit) =>
    fetch(url, {
      ...init,
      tls: { cert: trust.identity.certificate, key: trust.identity.key, ca: [...trust.trusted] },
      // A connection that is kept could break when it is used again, and would outlive a change of the certificates.
      keepalive: false,
      // By default Bun would send the request to the proxy in HTTPS_PROXY.
      proxy: false,
      // By default Bun would end a connection that is silent for five minutes. How long this one may be silent is decided
      // by `watchNode`.
      timeout: false,
      redirect: "manual",
      decompress: false,
    });

  /**
   * Repeats a request whose connection failed: a node opens its listener again when members change. The node serves a
   * request once, since it knows it by its header.
   */
  const sendAgain = async (url: string, init: RequestInit & { readonly signal: AbortSignal }): Promise<Response> => {
    for (const pauseMs of PAUSES_MS) {
      try {
        return await send(url, init);
      } catch (error) {
        if (init.signal.aborted || !CONNECTION_FAILURES.includes((error as NodeJS.ErrnoException).code ?? ""))
          throw error;
      }
      await setTimeout(pauseMs, undefined, { signal: init.signal });
    }
    return send(url, init);
  };

  return async (c, body, to, deadline) => {
    const { raw } = c.req;
    const page = c.var.page;
    const probe = async (signal: AbortSignal) => {
      const health = `${new URL(to.url).origin}/health`;
      const response = await send(health, { headers: { [FORWARDED_HEADER]: crypto.randomUUID() }, signal });
      await response.body?.cancel();
    };
    const watch = watchNode(to.leaseLeftMs, probe, clock);
    const ends = [raw.signal, watch.signal, page?.ended, deadline];
    const signal = AbortSignal.any(ends.filter((end) => end !== undefined));
    // The node takes its time for an answer.
    disableIdleTimeout(c);
    const end = () => {
      watch.end();
      restoreIdleTimeout(c);
    };

    const headers = forwardedHeaders(raw.headers);
    // The token of a page is known to this node alone, which has checked it.
    if (page) headers.set("authorization", `Bearer ${controlKey}`);
    try {
      const response = await sendAgain(targetUrl(raw.url, to.url), { method: raw.method, headers, body, signal });
      watch.heard();
      messages.note("forwarded", "answered");
      const { status } = response;
      const answer = { status, headers: withoutHopByHop(response.headers) };
      if (response.body && !response.headers.has("content-length")) {
        return new Response(untilEnd(response.body, watch.heard, end), answer);
      }
      // A body of known length is read whole, so that its length is sent on.
      const whole = response.body && (await response.arrayBuffer());
      end();
      return new Response(whole, answer);
    } catch (error) {
      end();
      if (raw.signal.aborted || page?.ended.aborted) {
        throw new RequestError("turn_interrupted", "The client has disconnected.");
      }
      messages.note("forwarded", "unavailable");
      throw unavailable(error, to);
    }
  };
}

function unavailable(error: unknown, to: ForwardTarget): RequestError {
  const { code, name } = error as { code?: string; name?: string };
  log.warning("the node at {url} does not answer: {reason}", { url: to.url, reason: code ?? name });
  const seconds = Math.max(1, Math.ceil(to.leaseLeftMs() / 1000));
  return new RequestError(
    "node_unavailable",
    "The node that has this conversation does not answer. Send the request again; when the node's lease has ended, another node takes the conversation over.",
    { retryAfter: seconds },
  );
}

/**
 * The same body.
 * @param onPiece called with each piece
 * @param end called once it has ended, whatever the reason
 */
function untilEnd(body: ReadableStream<Uint8Array>, onPiece: () => void, end: () => void): ReadableStream {
  const reader = body.getReader();
  return new ReadableStream<Uint8Array>({
    async pull(stream) {
      try {
        const { done, value } = await reader.read();
        onPiece();
        if (!done) return stream.enqueue(value);
        end();
        stream.close();
      } catch (error) {
        // The client must see that the answer is incomplete, so its connection is broken off, too.
        end();
        stream.error(error);
      }
    },
    // The end aborts the request.
    cancel: end,
  });
}

/** The path and query of a request at another base URL. A path may start with `//`, which would name another host. */
function targetUrl(requested: string, base: string): string {
  const { pathname, search } = new URL(requested);
  return `${new URL(base).origin}${pathname}${search}`;
}

/** What concerns one connection only (RFC 9110, 7.6.1). */
const HOP_BY_HOP = [
  "connection",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
];
/** What this node has dealt with: the body's form, and what the guard checks. */
const DEALT_WITH = [
  "host",
  "content-length",
  "content-encoding",
  "expect",
  "origin",
  "sec-fetch-site",
  "sec-fetch-mode",
  "sec-fetch-dest",
];

function withoutHopByHop(all: Headers): Headers {
  const named = (all.get("connection") ?? "").split(",").map((name) => name.trim().toLowerCase());
  const kept = new Headers(all);
  // `Connection` may hold any text, and only a name can be deleted.
  for (const name of [...HOP_BY_HOP, ...named.filter((one) => /^[\w-]+$/.test(one))]) kept.delete(name);
  return kept;
}

function forwardedHeaders(all: Headers): Headers {
  const headers = withoutHopByHop(all);
  for (const name of DEALT_WITH) headers.delete(name);
  headers.set(FORWARDED_HEADER, crypto.randomUUID());
  return headers;
}
