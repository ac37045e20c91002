/**
 * `GET /v1/sessions/{key}/screen`: claude's terminal, live. It goes one way: there is nothing a viewer could send.
 */
import { getLogger } from "@logtape/logtape";
import type { ClaudeProcess } from "../claude/interactive/process.ts";
import { COLUMNS, ROWS } from "../claude/interactive/screen.ts";
import type { ScreenEvent } from "../wire/screen.ts";

const log = getLogger(["synthesis", "screen"]);

/** A viewer that is so many bytes behind does not read, and is dropped. */
const MAX_BEHIND_BYTES = 1024 * 1024;

/**
 * An answer that shows the terminal for as long as claude runs and the viewer reads.
 * @param onEnd called when claude has ended, before the stream is closed
 */
export function screenStream(process: ClaudeProcess, onEnd: () => void): Response {
  const encoder = new TextEncoder();
  const about = { session: process.spec.sessionKey, pid: process.pid };
  let leave = () => {};
  const body = new ReadableStream<Uint8Array>(
    {
      start(controller) {
        const send = (event: ScreenEvent) => controller.enqueue(encoder.encode(`data: ${JSON.stringify(event)}\n\n`));
        const stop = process.show({
          draw: (bytes) => {
            if ((controller.desiredSize ?? 0) > 0) {
              send({ type: "output", bytes: Buffer.from(bytes).toString("base64") });
              return;
            }
            log.warning("a viewer is too slow and is dropped", about);
            leave();
            controller.error(new Error("the viewer is too slow"));
          },
          end: () => {
            send({ type: "end" });
            leave();
            onEnd();
            controller.close();
          },
        });
        leave = () => log.debug("a viewer has left", { ...about, viewers: stop() });
        send({ type: "size", columns: COLUMNS, rows: ROWS });
        log.debug("a viewer has come", about);
      },
      cancel: () => leave(),
    },
    new ByteLengthQueuingStrategy({ highWaterMark: MAX_BEHIND_BYTES }),
  );
  return new Response(body, { headers: { "content-type": "text/event-stream", "cache-control": "no-cache" } });
}
