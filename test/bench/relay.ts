/**
 * The measure of all: a relay on the same runtime that does the least there is to do. It takes a chat
 * request, pushes it to a stand-in that is done with the one before, and streams what comes back, by frames
 * or by hooks. It checks no key, no host and no body, keeps no queue, no deadline, no store and no log, and
 * repairs nothing.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { ServerWebSocket } from "bun";
import { writePlugin } from "../../src/plugin/manifest.ts";

const [claude = "", folder = ""] = process.argv.slice(2);

interface StandIn {
  socket: ServerWebSocket<{ token: string }> | null;
  ready: PromiseWithResolvers<void>;
  /** Resolved when it is done with the turn before: the next message must not reach it sooner. */
  free: Promise<void>;
  stopped: () => void;
  answer: ReadableStreamDefaultController | null;
}
const byUser = new Map<string, StandIn>();
const byToken = new Map<string, StandIn>();
const encoder = new TextEncoder();

const chunk = (standIn: StandIn, delta: object, finish_reason: string | null) =>
  standIn.answer?.enqueue(
    encoder.encode(`data: ${JSON.stringify({ choices: [{ index: 0, delta, finish_reason }] })}\n\n`),
  );
const end = (standIn: StandIn) => {
  if (!standIn.answer) return;
  chunk(standIn, {}, "stop");
  standIn.answer.enqueue(encoder.encode("data: [DONE]\n\n"));
  standIn.answer.close();
  standIn.answer = null;
};

const server = Bun.serve<{ token: string }>({
  hostname: "127.0.0.1",
  port: 0,
  async fetch(request, server) {
    const token = request.headers.get("authorization")?.slice(7) ?? "";
    const { pathname } = new URL(request.url);
    if (pathname === "/bridge") {
      server.upgrade(request, { data: { token } });
      return undefined;
    }
    // biome-ignore lint/suspicious/noExplicitAny: it checks nothing, on purpose
    const body = (await request.json()) as any;
    if (pathname === "/hooks") {
      const standIn = byToken.get(token);
      if (standIn && body.hook_event_name === "MessageDisplay") chunk(standIn, { content: body.delta }, null);
      if (standIn && body.hook_event_name === "Stop") {
        end(standIn);
        standIn.stopped();
      }
      return Response.json({});
    }
    const standIn = byUser.get(body.user) ?? start(body.user);
    await standIn.ready.promise;
    await standIn.free;
    const { promise, resolve } = Promise.withResolvers<void>();
    standIn.free = promise;
    standIn.stopped = resolve;
    return new Response(
      new ReadableStream({
        start(controller) {
          standIn.answer = controller;
          const meta = { message_id: crypto.randomUUID() };
          standIn.socket?.send(JSON.stringify({ type: "inbound", content: body.messages.at(-1).content, meta }));
        },
      }),
      { headers: { "content-type": "text/event-stream" } },
    );
  },
  websocket: {
    message(socket, message) {
      const standIn = byToken.get(socket.data.token);
      if (!standIn) return;
      const frame = JSON.parse(message.toString());
      if (frame.type === "hello") {
        standIn.socket = socket;
        standIn.ready.resolve();
      } else if (frame.type === "reply") {
        chunk(standIn, { content: frame.content }, null);
        if (frame.id) socket.send(JSON.stringify({ type: "reply_ack", id: frame.id }));
        if (frame.final) end(standIn);
      }
    },
  },
});

function start(user: string): StandIn {
  const token = crypto.randomUUID();
  const standIn: StandIn = {
    socket: null,
    ready: Promise.withResolvers(),
    free: Promise.resolve(),
    stopped: () => {},
    answer: null,
  };
  byUser.set(user, standIn);
  byToken.set(token, standIn);
  const debugFile = join(folder, `${token}.log`);
  writeFileSync(debugFile, "");
  const plugin = join(folder, `plugin-${token}`);
  const link = { port: server.port ?? 0, bridgeToken: token, hookToken: token, claudeSession: token };
  writePlugin(plugin, link, ["true"]);
  Bun.spawn([claude, "--plugin-dir", plugin, "--debug-file", debugFile, "--session-id", token], {
    env: process.env,
    terminal: { cols: 120, rows: 40 },
  });
  return standIn;
}

mkdirSync(folder, { recursive: true });
console.log(`listens on ${server.url.origin}/v1`);
