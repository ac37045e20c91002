/** What a server does so that every metric has a value: turns with each outcome, on both engines of the real claude. */

import { apiError, limitReached, planHeaders, text, toolUse, usage } from "../support/mock-anthropic.ts";
import { answerText, ask, events, next, texts } from "../support/sse.ts";
import { createWorld, type World } from "../support/world.ts";

const CONTROL_WAIT_MS = 20_000;

/** Unix time in seconds. */
const inSeconds = (seconds: number) => Math.floor(Date.now() / 1_000) + seconds;

/** A server whose agent `fast` runs over stream-json, and all others in a terminal. */
export async function createScenario(): Promise<World> {
  const agents = JSON.stringify({ fast: { engine: "stream" } });
  const world = await createWorld({
    plan: true,
    env: {
      SYNTHESIS_AGENTS: agents,
      SYNTHESIS_PERMISSIONS: "ask",
      SYNTHESIS_PERMISSION_TIMEOUT_MS: String(CONTROL_WAIT_MS),
    },
  });
  const { mock } = world;
  const resetsAt = inSeconds(5_000);
  mock.on(/hello/, function* () {
    yield usage({ input_tokens: 1_000, cache_read_input_tokens: 600, cache_creation_input_tokens: 100 });
    yield text("hi");
  });
  mock.on(/once, as JSON/, function* () {
    yield text('{"a": 1}');
  });
  mock.on(/write it/, function* ({ toolResults }) {
    if (toolResults.length > 0) yield text("written");
    else yield toolUse("Write", { file_path: `${world.claude.workspace}/it`, content: "x" });
  });
  mock.on(/a long story/, async function* ({ closed }) {
    yield text("Once upon a time\n\n");
    await closed;
  });
  mock.on(/too much/, function* () {
    yield apiError(400, "invalid_request_error", "this cannot be answered");
  });
  mock.on(/the best model/, function* () {
    yield limitReached("seven_day_opus", resetsAt, { "anthropic-ratelimit-unified-overage-status": "rejected" });
  });
  return world;
}

/** Runs everything once. */
export async function runScenario(world: World, control: string): Promise<void> {
  const { server, mock } = world;
  const resetsAt = inSeconds(5_000);
  const fast = { "x-openclaw-agent-id": "fast" };
  const post = async (content: string, more: object = {}, headers: Record<string, string> = {}) =>
    (await server.post(ask(content, { user: "me", ...more }), headers)).text();

  mock.sendHeaders(planHeaders({ "5h": { used: 0.42, resetsAt }, "7d": { used: 0.6, resetsAt } }));
  await post("hello");
  await post("hello again", {}, fast);
  // It names no conversation, and its process need not stay.
  await post("once, as JSON", { user: undefined, response_format: { type: "json_object" } });
  await post("hello", { model: "gpt-4" });
  // These headers would say that the limit of another window is reached.
  mock.sendHeaders({});
  await post("the best model", { user: "rich", model: "opus" });
  await post("too much", { user: "failing" });
  await resume(world, control);
  await leave(world);
  await decide(world, control);
}

/** A conversation whose process was stopped is resumed. */
async function resume({ server }: World, control: string): Promise<void> {
  const headers = { authorization: `Bearer ${control}` };
  const find = async () => {
    const { data } = (await (await fetch(`${server.url}/v1/sessions`, { headers })).json()) as {
      data: { key: string; pid: number | null }[];
    };
    return data.find(({ key }) => key === "user:me")?.pid ?? null;
  };
  const pid = await find();
  if (pid !== null) process.kill(pid, "SIGTERM");
  while ((await find()) !== null) await Bun.sleep(20);
  await answerText(await server.post(ask("hello after a while", { user: "me" })));
}

/** A client that disconnects while Claude writes. */
async function leave({ server }: World): Promise<void> {
  const controller = new AbortController();
  const answer = await server.post(ask("a long story", { user: "leaver" }), {}, controller.signal);
  if (!answer.ok) throw new Error(await answer.text());
  await next(texts(answer));
  controller.abort();
  await answerText(await server.post(ask("hello", { user: "leaver" })));
}

/** A permission prompt that the owner of the control key allows. */
async function decide({ server }: World, control: string): Promise<void> {
  const headers = { authorization: `Bearer ${control}`, "content-type": "application/json" };
  const answer = server.post(ask("write it", { user: "writer" }));
  let id: string | undefined;
  while (id === undefined) {
    const prompts = (await (await fetch(`${server.url}/v1/permissions`, { headers })).json()) as {
      data: { id: string }[];
    };
    id = prompts.data[0]?.id;
    if (id === undefined) await Bun.sleep(20);
  }
  const body = JSON.stringify({ behavior: "allow" });
  await fetch(`${server.url}/v1/permissions/${id}`, { method: "POST", headers, body });
  await Array.fromAsync(events(await answer));
}
