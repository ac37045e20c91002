/** Streams Claude Code's terminal to a viewer, for `GET /v1/sessions/{key}/screen`. A viewer cannot send input. */
import { getLogger } from "@logtape/logtape";
import type { AgentProcess } from "../claude/agent-process.ts";
import { COLUMNS, ROWS } from "../claude/interactive/screen.ts";
import type { ScreenEvent } from "../wire/screen.ts";

const log = getLogger(["synthesis", "screen"]);

/** A viewer with more unread output than this is disconnected. */
const MAX_UNREAD_BYTES = 1024 * 1024;

/**
 * A response that shows the terminal until the process exits or the viewer disconnects.
 * @param onEnd is called when the process has exited, before the stream is closed
 */
export function screenStream(process: AgentProcess, onEnd: () => void): Response {
  const encoder = new TextEncoder();
  const fields = { session: process.spec.sessionKey, pid: process.pid };
  let disconnect = () => {};
  const body = new ReadableStream<Uint8Array>(
    {
      start(controller) {
        const send = (event: ScreenEvent) => controller.enqueue(encoder.encode(`data: ${JSON.stringify(event)}\n\n`));
        const stopShowing = process.show({
          draw: (bytes) => {
            if ((controller.desiredSize ?? 0) > 0) {
              send({ type: "output", bytes: Buffer.from(bytes).toString("base64") });
              return;
            }
            log.warning("screen viewer reads too slowly", fields);
            disconnect();
            controller.error(new Error("the viewer reads too slowly"));
          },
          end: () => {
            send({ type: "end" });
            disconnect();
            onEnd();
            controller.close();
          },
        });
        disconnect = () => log.debug("screen viewer disconnected", { ...fields, viewers: stopShowing() });
        send({ type: "size", columns: COLUMNS, rows: ROWS });
        log.debug("screen viewer connected", fields);
      },
      cancel: () => disconnect(),
    },
    new ByteLengthQueuingStrategy({ highWaterMark: MAX_UNREAD_BYTES }),
  );
  return new Response(body, { headers: { "content-type": "text/event-stream", "cache-control": "no-cache" } });
}
