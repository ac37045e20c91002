/** OpenClaw answers from the next model of its configuration when claude cannot, and returns to claude afterwards. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { apiError, limitReached, planHeaders, text, toolUse } from "../support/mock-anthropic.ts";
import { createRig, type Rig } from "./rig.ts";

/** How long the limit lasts, in seconds: long enough for two messages on a slow machine. */
const LIMIT_S = 30;

/** A model of another provider, which gives always the same answer. */
function startOtherModel() {
  const asked: string[] = [];
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    async fetch(request) {
      asked.push(await request.text());
      const chunk = (delta: object, finish: string | null) =>
        `data: ${JSON.stringify({ id: "c", object: "chat.completion.chunk", created: 1, model: "large", choices: [{ index: 0, delta, finish_reason: finish }] })}\n\n`;
      const body = `${chunk({ role: "assistant", content: "I stand in." }, null)}${chunk({}, "stop")}data: [DONE]\n\n`;
      return new Response(body, { headers: { "content-type": "text/event-stream" } });
    },
  });
  return { url: `http://127.0.0.1:${server.port}`, asked, stop: () => server.stop(true) };
}

const times = (shown: string, what: string) => shown.split(what).length - 1;

let other: ReturnType<typeof startOtherModel>;
let rig: Rig;
beforeAll(async () => {
  other = startOtherModel();
  rig = await createRig("failover", { plugin: true, fallback: other.url });
}, 300_000);
afterAll(async () => {
  await rig[Symbol.asyncDispose]();
  await other.stop();
}, 60_000);

/** The statuses of the requests that synthesis got with this text. */
const statuses = (what: string) =>
  Promise.all(
    rig.recorder.requests
      // A request for the plan's limits has no body.
      .filter(({ body }) => JSON.stringify(body).includes(what))
      .map(async ({ answered }) => (await answered).status),
  );
const ready = async () => (await fetch(`${rig.url()}/ready`)).ok;

/** The windows of the plan that synthesis knows. */
async function planWindows(): Promise<readonly object[]> {
  const key = (await Bun.file(join(rig.claude.base, "state/chat.key")).text()).trim();
  const response = await fetch(`${rig.url()}/v1/limits`, { headers: { authorization: `Bearer ${key}` } });
  return ((await response.json()) as { data: object[] }).data;
}

test("OpenClaw's usage display shows how much of the plan is used", async () => {
  const resetsAt = Math.floor(Date.now() / 1000) + 3_600;
  rig.mock.sendHeaders(planHeaders({ "5h": { used: 0.42, resetsAt }, "7d": { used: 0.915, resetsAt } }));
  expect(await rig.openclaw.say("how much is left?", "agent:main:usage")).toContain("how much is left?");
  rig.mock.sendHeaders({});
  // In a terminal Claude Code reports the figures a moment after the answer.
  while ((await planWindows()).length === 0) await Bun.sleep(100);

  const resetAt = resetsAt * 1000;
  expect(await rig.openclaw.call("usage.status", {})).toMatchObject({
    providers: [
      {
        provider: "synthesis",
        windows: [
          { label: "5h", usedPercent: 42, resetAt },
          { label: "Week", usedPercent: 91.5, resetAt },
        ],
      },
    ],
  });
});

test.each([
  ["an overload", 529, "overloaded_error", 503],
  ["a rate limit", 429, "rate_limit_error", 429],
  ["a lost login", 401, "authentication_error", 503],
])("%s is answered by the fallback in the same run, and claude is asked once", async (what, status, type, expected) => {
  rig.mock.on(new RegExp(`during ${what}`), function* () {
    yield apiError(status, type, "Not now.", { "retry-after": "0" });
  });
  expect(await rig.openclaw.say(`a question during ${what}`, `agent:main:at-${status}`)).toBe("I stand in.");
  expect(await statuses(`during ${what}`)).toEqual([expected]);
});

test("an error after claude has used a tool is text in the chat, and the fallback does not repeat the work", async () => {
  rig.mock.on(/work and fail/, function* ({ toolResults }) {
    if (toolResults.length > 0) yield apiError(529, "overloaded_error", "Overloaded");
    else yield toolUse("Bash", { command: "true", description: "Nothing" });
  });
  const asked = other.asked.length;
  expect(await rig.openclaw.say("work and fail", "agent:main:work")).toContain(
    "[synthesis: Claude's API is overloaded",
  );
  expect(other.asked.length).toBe(asked);
});

test("at the plan's limit the fallback answers, and claude returns after the reset and knows what was said", async () => {
  const key = "agent:main:main";
  rig.mock.on(/a costly question/, function* () {
    yield limitReached("five_hour", Math.floor(Date.now() / 1000) + LIMIT_S);
  });
  rig.mock.on(/who is there/, function* () {
    yield text("It is me again.\n");
  });
  expect(await rig.openclaw.say("words before", key)).toContain("words before");
  expect(await rig.openclaw.say("a costly question", key)).toBe("I stand in.");
  expect(await statuses("a costly question")).toEqual([429]);
  expect(await ready()).toBe(false);

  expect(await rig.openclaw.say("a second question", key)).toBe("I stand in.");
  expect(await statuses("a second question")).toEqual([429]);
  // It was refused before it was sent.
  expect(rig.mock.requests.some(({ shown }) => shown.includes("a second question"))).toBe(false);
  expect(times(other.asked.at(-1) ?? "", "a costly question")).toBe(1);

  while (!(await ready())) await Bun.sleep(100);
  expect(await rig.openclaw.say("who is there?", key)).toBe("It is me again.");
  const { shown } = await rig.mock.request(/who is there/);
  expect(
    ["words before\n", "a costly question", "a second question", "I stand in."].map((what) => times(shown, what)),
  ).toEqual([2, 1, 1, 2]);
}, 120_000);

test("a limit that shows after the stream has begun with a heartbeat is answered by the fallback, too", async () => {
  rig.mock.on(/a slow question/, async function* () {
    const { answered } = await rig.recorder.request(/a slow question/);
    expect((await answered).status).toBe(200);
    yield limitReached("five_hour", Math.floor(Date.now() / 1000) + 3_600);
  });
  await rig.restartSynthesis("SIGTERM", { SYNTHESIS_SSE_HEARTBEAT_MS: "100" });
  expect(await rig.openclaw.say("a slow question", "agent:main:slow")).toBe("I stand in.");
  expect(await statuses("a slow question")).toEqual([200]);
});
