/** `GET /v1/live`: what a page shows, and what changes of it, as server-sent events. */
import { Hono } from "hono";
import { streamSSE } from "hono/streaming";
import type { LiveFeed } from "../../live/feed.ts";
import type { Env } from "../env.ts";
import { disableIdleTimeout, restoreIdleTimeout } from "../idle-timeout.ts";

/** Between two comments that show that the server lives, in ms. */
const HEARTBEAT_MS = 15_000;
/** A page that has read less than this many events is disconnected. */
const MAX_UNREAD = 1_000;

export const liveRoutes = (feed: LiveFeed): Hono<Env> =>
  new Hono<Env>().get("/", (c) => {
    disableIdleTimeout(c);
    // The control key may look and decide, too.
    const { role, ended } = c.var.page ?? { role: "decide", ended: null };
    return streamSSE(c, async (stream) => {
      const unread: { event: string; data: string }[] = [];
      let more = Promise.withResolvers<void>();
      let isOver = false;
      const end = () => {
        isOver = true;
        more.resolve();
      };
      stream.onAbort(end);
      ended?.addEventListener("abort", end);
      const stop = feed.watch(role, (event, data) => {
        unread.push({ event, data: JSON.stringify(data) });
        if (unread.length > MAX_UNREAD) end();
        more.resolve();
      });
      let isWriting = false;
      const heartbeat = setInterval(() => {
        if (!isWriting) void stream.write(": \n\n");
        // The page has stopped reading, since the last write is still waiting. Let Bun close the connection.
        else c.env.server.timeout(c.req.raw, 1);
      }, HEARTBEAT_MS);
      try {
        while (!isOver) {
          await more.promise;
          more = Promise.withResolvers();
          isWriting = true;
          for (const event of unread.splice(0)) await stream.writeSSE(event);
          isWriting = false;
        }
        const reason = ended?.reason === "stopped" ? "stopped" : "signed_out";
        if (ended?.aborted) await stream.writeSSE({ event: "end", data: JSON.stringify({ reason }) });
      } finally {
        clearInterval(heartbeat);
        restoreIdleTimeout(c);
        stop();
        ended?.removeEventListener("abort", end);
      }
    });
  });
