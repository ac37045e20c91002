/** Server-sent events for a person who watches. Comments show meanwhile that the server lives. */
import type { Context } from "hono";
import type { SSEStreamingApi } from "hono/streaming";
import type { Env } from "./env.ts";
import { restoreIdleTimeout } from "./idle-timeout.ts";

/** Between two comments, in ms. */
const HEARTBEAT_MS = 15_000;

interface ViewerEvents {
  /** Resolves when the viewer has read enough for the next event. */
  send(data: object, event?: string): Promise<void>;
  /** Ends the comments. */
  end(): void;
}

/** @param stream the response to the request of `c`, whose idle timeout is off */
export function viewerEvents(c: Context<Env>, stream: SSEStreamingApi): ViewerEvents {
  let isWriting = false;
  const heartbeat = setInterval(() => {
    if (!isWriting) void stream.write(": \n\n");
    // The viewer has stopped reading, since the last write is still waiting. Let Bun close the connection.
    else c.env.server.timeout(c.req.raw, 1);
  }, HEARTBEAT_MS);
  return {
    send: async (data, event) => {
      isWriting = true;
      await stream.writeSSE({ data: JSON.stringify(data), ...(event === undefined ? {} : { event }) });
      isWriting = false;
    },
    end: () => {
      clearInterval(heartbeat);
      restoreIdleTimeout(c);
    },
  };
}
