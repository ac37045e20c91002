/** An idle connection is closed after its response, but not while a turn runs. */
import { expect, test } from "bun:test";
import { connect } from "node:net";
import { createWorld } from "../support/world.ts";

test("idle connections are closed after any response, that of a chat included", async () => {
  await using world = await createWorld({ standIn: true });
  const { host, port } = new URL(world.server.url);
  /** Sends a request and keeps its connection. Resolves with the response when the server has closed it. */
  const responseUntilClose = (path: string, body: object | null) => {
    const { promise, resolve } = Promise.withResolvers<string>();
    const socket = connect(Number(port), "127.0.0.1");
    let answer = "";
    socket.on("data", (bytes) => {
      answer += bytes;
    });
    socket.on("close", () => resolve(answer));
    const text = body === null ? "" : JSON.stringify(body);
    socket.write(
      [
        `${body === null ? "GET" : "POST"} ${path} HTTP/1.1`,
        `Host: ${host}`,
        `Authorization: Bearer ${world.server.key}`,
        "Content-Type: application/json",
        `Content-Length: ${text.length}`,
        "",
        text,
      ].join("\r\n"),
    );
    return promise;
  };
  const chat = (more: object) => ({ user: "me", messages: [{ role: "user", content: "hello" }], ...more });
  const responses = await Promise.all([
    responseUntilClose("/health", null),
    responseUntilClose("/v1/chat/completions", chat({})),
    responseUntilClose("/v1/chat/completions", chat({ stream: true, user: "you" })),
    responseUntilClose("/v1/chat/completions", chat({ user: undefined, messages: [] })),
    responseUntilClose("/v1/chat/completions", chat({ model: "none" })),
    responseUntilClose("/v1/nothing", null),
  ]);
  expect(responses.map((response) => /^HTTP\/1\.1 (\d+)/.exec(response)?.[1])).toEqual([
    "200",
    "200",
    "200",
    "400",
    "404",
    "404",
  ]);
  expect(responses[1]).toContain("You said: hello");
  expect(responses[2]).toContain("[DONE]");
}, 60_000);

test("a turn that is quiet for longer than the timeout keeps its connection, for chunked requests, too", async () => {
  await using world = await createWorld({ standIn: true, env: { SYNTHESIS_SSE_HEARTBEAT_MS: "60000" } });
  const body = JSON.stringify({ user: "me", messages: [{ role: "user", content: "hang 13000" }] });
  const send = (content: string | ReadableStream, user: string) =>
    fetch(`${world.server.url}/v1/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Bearer ${world.server.key}` },
      body: typeof content === "string" ? content.replace("me", user) : content,
    });
  const chunked = new ReadableStream({
    start(controller) {
      controller.enqueue(Buffer.from(body));
      controller.close();
    },
  });
  const responses = await Promise.all([send(body, "one"), send(chunked, "two")]);
  expect(responses.map(({ status }) => status)).toEqual([200, 200]);
  for (const response of responses) expect(await response.text()).toContain("finish_reason");
}, 60_000);
