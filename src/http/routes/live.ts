/** `GET /v1/live`: what a page shows, and what changes of it, as server-sent events. */
import { Hono } from "hono";
import { streamSSE } from "hono/streaming";
import type { LiveFeed } from "../../live/feed.ts";
import type { Env } from "../env.ts";
import { disableIdleTimeout } from "../idle-timeout.ts";
import { viewerEvents } from "../viewer-events.ts";

/** A page that has not read this many events is disconnected. */
const MAX_UNREAD = 1_000;

export const liveRoutes = (feed: LiveFeed): Hono<Env> =>
  new Hono<Env>().get("/", (c) => {
    disableIdleTimeout(c);
    // The control key may look and decide, too.
    const { role, ended } = c.var.page ?? { role: "decide", ended: null };
    return streamSSE(c, async (stream) => {
      const events = viewerEvents(c, stream);
      const unread: { name: string; data: object }[] = [];
      let more = Promise.withResolvers<void>();
      let isOver = false;
      const end = () => {
        isOver = true;
        more.resolve();
      };
      stream.onAbort(end);
      ended?.addEventListener("abort", end);
      const stop = feed.watch(role, (name, data) => {
        unread.push({ name, data });
        if (unread.length > MAX_UNREAD) end();
        more.resolve();
      });
      try {
        while (!isOver) {
          await more.promise;
          more = Promise.withResolvers();
          for (const { name, data } of unread.splice(0)) await events.send(data, name);
        }
        const reason = ended?.reason === "stopped" ? "stopped" : "signed_out";
        if (ended?.aborted) await events.send({ reason }, "end");
      } finally {
        events.end();
        stop();
        ended?.removeEventListener("abort", end);
      }
    });
  });
