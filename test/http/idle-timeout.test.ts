/** A connection that is quiet behind its answer is closed; while an answer is awaited it is not. */
import { expect, test } from "bun:test";
import { connect } from "node:net";
import { createWorld } from "../support/world.ts";

test("connections are closed when they are quiet behind an answer, also behind that of a chat", async () => {
  await using world = await createWorld({ standIn: true });
  const { host, port } = new URL(world.server.url);
  /** Sends a request, keeps its connection, and resolves with the answer when the server has closed it. */
  const closed = (path: string, body: object | null) => {
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
  const answers = await Promise.all([
    closed("/health", null),
    closed("/v1/chat/completions", chat({})),
    closed("/v1/chat/completions", chat({ stream: true, user: "you" })),
    closed("/v1/chat/completions", chat({ user: undefined, messages: [] })),
    closed("/v1/chat/completions", chat({ model: "none" })),
    closed("/v1/nothing", null),
  ]);
  expect(answers.map((answer) => /^HTTP\/1\.1 (\d+)/.exec(answer)?.[1])).toEqual([
    "200",
    "200",
    "200",
    "400",
    "404",
    "404",
  ]);
  expect(answers[1]).toContain("You said: hello");
  expect(answers[2]).toContain("[DONE]");
}, 60_000);

test("a turn that is quiet for longer than that keeps its connection, however its request was sent", async () => {
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
  const answers = await Promise.all([send(body, "one"), send(chunked, "two")]);
  expect(answers.map(({ status }) => status)).toEqual([200, 200]);
  for (const answer of answers) expect(await answer.text()).toContain("finish_reason");
}, 60_000);
