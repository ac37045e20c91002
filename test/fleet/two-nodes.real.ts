/** Two nodes with the real claude: a conversation is on one of them, found from both, and outlives the loss of its node. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type OpenAI from "openai";
import { text, toolUse } from "../support/mock-anthropic.ts";
import { answerText, ask } from "../support/sse.ts";
import { createFleet, type FleetWorld, type TestNode } from "./world.ts";

let fleet: FleetWorld;
let first: TestNode;
let second: TestNode;

beforeAll(async () => {
  fleet = await createFleet();
  [first, second] = fleet.nodes as [TestNode, TestNode];
});

afterAll(() => fleet[Symbol.asyncDispose]());

/** Sends a message. A conversation whose node was lost is free when the node's lease has ended. */
async function say(node: TestNode, content: string, user: string): Promise<string> {
  for (;;) {
    const response = await node.server.post(ask(content, { user }));
    if (response.status === 200) return answerText(response);
    expect(response.status).toBe(503);
    await Bun.sleep(1_000 * Number(response.headers.get("retry-after")));
    await response.body?.cancel();
  }
}

/** What the model was sent in the newest request: who spoke, and what the test's messages were. */
function sentToModel(): string {
  return JSON.stringify(fleet.mock.requests.at(-1)?.body.messages);
}

const rows = async (sql: string) => (await fleet.postgres.query(sql)).trim().split("\n");

describe("two nodes", () => {
  test("the conversation stays on the node that began it, whichever node is asked", async () => {
    expect(await say(first, "one", "ann")).toBe("You said: one");
    expect(await say(second, "two", "ann")).toBe("You said: two");
    expect(sentToModel()).toContain("You said: one");
    expect(await rows("SELECT epoch FROM claims WHERE key = 'user:ann'")).toEqual(["1"]);
    expect(first.server.log()).toContain("conversation claimed");
    expect(second.server.log()).not.toContain("conversation claimed");
  });

  test("both nodes list it once", async () => {
    for (const node of [first, second]) {
      const list = (await (await fleet.control(node, "/v1/sessions")).json()) as { data: { key: string }[] };
      expect(list.data.map(({ key }) => key)).toEqual(["user:ann"]);
    }
  });

  test("a node that is stopped gives it to the other one, which knows all of it", async () => {
    expect(await first.server.stop()).toBe(0);
    expect(await say(second, "three", "ann")).toBe("You said: three");
    expect(sentToModel()).toContain("You said: one");
    expect(sentToModel()).toContain("You said: two");
    await first.restart();
  });

  test("it outlives a node that is killed", async () => {
    await second.server.stop("SIGKILL");
    expect(await say(first, "four", "ann")).toBe("You said: four");
    expect(sentToModel()).toContain("You said: three");
    expect(await rows("SELECT state FROM turns ORDER BY position")).toEqual(["done", "done", "done", "done"]);
    await second.restart();
  });

  test("the result of a call finds its node, also in a chat that names no conversation", async () => {
    fleet.mock.on(/look it up/, function* ({ toolResults }) {
      if (toolResults.length > 0) yield text(`It was ${toolResults[0]?.content}.`);
      else yield toolUse("mcp__plugin_synthesis_chat__lookup", {});
    });
    const tools = [
      { type: "function" as const, function: { name: "lookup", parameters: { type: "object", properties: {} } } },
    ];
    const question = { role: "user" as const, content: "look it up" };
    const asked = await first.server.openai.chat.completions.create({ model: "", messages: [question], tools });
    const message = asked.choices[0]?.message as OpenAI.ChatCompletionAssistantMessageParam;
    const result = { role: "tool" as const, tool_call_id: message.tool_calls?.[0]?.id ?? "", content: "found" };
    const before = second.server.log();
    const messages = [question, message, result];
    const answered = await second.server.openai.chat.completions.create({ model: "", messages, tools });
    expect(answered.choices[0]?.message.content).toBe("It was found.");
    expect(second.server.log().slice(before.length)).not.toContain("claude started");
    expect(await rows("SELECT count(*) FROM parked")).toEqual(["0"]);
  });
});
