/** One request to the receiver: its form in each format, and what becomes of each answer. */
import { afterAll, beforeEach, describe, expect, test } from "bun:test";
import { notificationOf, type Occurrence } from "../../src/notify/notification.ts";
import { isLoopback, send } from "../../src/notify/send.ts";
import { startReceiver } from "../support/receiver.ts";

const receiver = startReceiver();
afterAll(() => receiver.stop());
beforeEach(() => receiver.answer(() => new Response("ok")));

const never = () => new AbortController().signal;
const at = Date.parse("2026-11-27T09:00:00Z");
const prompt = (description: string): Occurrence => ({
  kind: "permission_prompt",
  count: 1,
  prompts: [{ id: "a2b3", tool: "Bash", session: "user:ann", description }],
});

async function post(format: "json" | "ntfy" | "slack", occurrence: Occurrence, path = "/hook") {
  const count = receiver.received.length;
  const result = await send({ url: receiver.origin + path, format }, notificationOf("id-1", at, occurrence), never());
  return { result, request: await receiver.get(count + 1) };
}

test("json has all fields", async () => {
  const { result, request } = await post("json", {
    kind: "plan_window",
    window: "five_hour",
    threshold: 95,
    used_percent: 96.5,
    resets_at: at + 3_600_000,
  });

  expect(result).toEqual({ type: "delivered" });
  expect(request.headers["content-type"]).toBe("application/json");
  expect(request.json).toEqual({
    source: "synthesis",
    id: "id-1",
    kind: "plan_window",
    at,
    title: expect.stringContaining("95%"),
    text: expect.stringMatching(/^96% .*27 November/),
    window: "five_hour",
    threshold: 95,
    used_percent: 96.5,
    resets_at: at + 3_600_000,
  });
});

test("ntfy gets the text as the message, and the rest in headers", async () => {
  const { request } = await post("ntfy", prompt("Bash: echo ä 😀"), "/alerts");

  expect([request.path, request.body.split("\n")[0]]).toEqual([
    "/alerts",
    "Claude asks in user:ann: Bash: echo ä 😀 (a2b3)",
  ]);
  expect(request.headers).toMatchObject({
    title: "synthesis: Claude waits for permission",
    priority: "4",
    tags: "question",
  });
});

test("ntfy never gets a message that it would turn into a file, or a title that is no header", async () => {
  const { request } = await post("ntfy", prompt("ä".repeat(5_000)));
  expect(Buffer.byteLength(request.body)).toBeLessThanOrEqual(4_000);
  expect(request.body).not.toContain("\uFFFD");
  const odd = { kind: "plan_window", window: "ü\n", threshold: 80, used_percent: 80, resets_at: null } as const;

  expect((await post("ntfy", odd)).request.headers.title).toBe("synthesis: The plan's window ?? is 80% used");
});

test("slack gets text in which nothing is a mention, a link or bold", async () => {
  const { request } = await post("slack", prompt("Bash: echo <!channel> && *x*"));

  expect(request.json).toEqual({
    text: expect.stringMatching(/^Claude waits for permission\n.*echo &lt;!channel&gt; &amp;&amp; \*x\* \(a2b3\)/),
    mrkdwn: false,
  });
});

test("a user and a password in the address become a header", async () => {
  const url = receiver.origin.replace("//", "//ann:p%40ss@");
  const count = receiver.received.length;
  await send({ url: `${url}/topic`, format: "ntfy" }, notificationOf("id", at, { kind: "test" }), never());

  expect((await receiver.get(count + 1)).headers.authorization).toBe(`Basic ${btoa("ann:p@ss")}`);
});

describe("an answer", () => {
  test.each<[status: number, type: string, headers: Record<string, string>, retryAfterMs: number | null]>([
    [204, "delivered", {}, null],
    [404, "refused", {}, null],
    [410, "refused", {}, null],
    [408, "unavailable", {}, null],
    [429, "unavailable", { "retry-after": "30" }, 30_000],
    [500, "unavailable", {}, null],
    [503, "unavailable", { "retry-after": "soon" }, null],
    [503, "unavailable", { "retry-after": "Thu, 01 Jan 2026 00:00:00 GMT" }, 0],
  ])("with status %d is taken as %s, with the headers %j", async (status, type, headers, retryAfterMs) => {
    receiver.answer(() => new Response(null, { status, headers }));
    const { result } = await post("json", { kind: "test" });

    expect(result).toMatchObject(type === "unavailable" ? { type, retryAfterMs } : { type });
  });

  test("that redirects is not followed", async () => {
    await using other = startReceiver();
    receiver.answer(() => Response.redirect(`${other.origin}/stolen`, 307));
    const { result } = await post("json", { kind: "test" });

    expect([result.type, other.received]).toEqual(["refused", []]);
  });

  test("whose body never ends is not read", async () => {
    const endless = new ReadableStream({ pull: (controller) => controller.enqueue(new Uint8Array(65_536)) });
    receiver.answer(() => new Response(endless));

    expect((await post("json", { kind: "test" })).result).toEqual({ type: "delivered" });
  });
});

describe("a receiver", () => {
  test("that cannot be reached is reported without its address", async () => {
    const gone = startReceiver();
    await gone.stop();
    const url = gone.origin.replace("//", "//ann:password@");
    const result = await send(
      { url: `${url}/secret`, format: "json" },
      notificationOf("id", at, { kind: "test" }),
      never(),
    );

    expect(result).toEqual({ type: "unavailable", why: "cannot be reached (ECONNREFUSED)", retryAfterMs: null });
  });

  test("that does not answer is left", async () => {
    const attempt = new AbortController();
    receiver.answer(() => {
      attempt.abort();
      return new Promise(() => {});
    });
    const url = `${receiver.origin}/hook`;
    const result = await send({ url, format: "json" }, notificationOf("id", at, { kind: "test" }), attempt.signal);

    expect(result).toEqual({ type: "unavailable", why: "does not answer", retryAfterMs: null });
  });

  test.each([
    ["http://localhost:1/x", true],
    ["http://127.1.2.3/x", true],
    ["http://[::1]:9/x", true],
    ["http://127.0.0.1.example.com/x", false],
    ["https://ntfy.sh/x", false],
  ])("at %s is on this machine: %p", (url, expected) => {
    expect(isLoopback(url)).toBe(expected);
  });
});
