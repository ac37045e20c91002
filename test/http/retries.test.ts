/** A client repeats a request because it has lost the answer with tool calls. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { assistant, toolResult } from "../support/openclaw.ts";
import { ask, events } from "../support/sse.ts";
import { createWorld, type World } from "../support/world.ts";

let world: World;
beforeEach(async () => {
  world = await createWorld({ standIn: true, env: { SYNTHESIS_MAX_QUEUE: "1", SYNTHESIS_MAX_PROCESSES: "1" } });
});
afterEach(() => world[Symbol.asyncDispose]());

const TOOLS = { tools: [{ type: "function", function: { name: "lookup" } }] };
interface Answer {
  readonly content: string | null;
  readonly calls: readonly { id: string; function: { name: string; arguments: string } }[];
}
async function send(body: object, headers: Record<string, string> = {}): Promise<Answer> {
  const response = await world.server.post({ ...body, stream: false }, headers);
  const parsed = (await response.json()) as {
    choices?: { message: { content: string | null; tool_calls?: Answer["calls"] } }[];
  };
  const message = parsed.choices?.[0]?.message;
  if (!message) throw new Error(JSON.stringify(parsed));
  return { content: message.content, calls: message.tool_calls ?? [] };
}
const request = (text: string) => ({ user: "me", ...TOOLS, messages: [{ role: "user", content: text }] });
/** The request that holds the results of an answer's calls. */
const withResults = (asked: { messages: object[] }, { calls }: Answer, result: string) => ({
  ...asked,
  messages: [
    ...asked.messages,
    assistant("", ...calls.map(({ id }) => [id, "lookup"] as const)),
    ...calls.map(({ id }) => toolResult(id, result)),
  ],
});
const sentMessages = () => world.server.log().match(/"message sent"/g)?.length;

test("a repeated request gets the same calls, streamed or not, even when the queue is full", async () => {
  const first = await send(request("call 2"));
  expect(first.calls).toHaveLength(2);
  const other = send(ask("hello", { user: "you" }));
  await world.server.logged(/turn waits for a process slot/);
  expect(await send(request("call 2"))).toEqual(first);
  const response = await world.server.post({ ...request("call 2"), stream: true });
  expect([response.status, response.headers.get("x-synthesis-process")]).toEqual([200, "warm"]);
  const all = await Array.fromAsync(events(response));
  expect(all.slice(-3)).toMatchObject([
    { choices: [{ delta: { tool_calls: first.calls } }] },
    { choices: [{ finish_reason: "tool_calls" }] },
    "[DONE]",
  ]);
  expect(await send(withResults(request("call 2"), first, "R"))).toEqual({ content: "You said: R|R", calls: [] });
  expect((await other).content).toBe("You said: hello");
  expect(sentMessages()).toBe(2);
});
