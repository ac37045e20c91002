/** On the real claude: which of its own tools it is offered. */
import { expect, test } from "bun:test";
import { join } from "node:path";
import { addKey } from "../../src/config/chat-keys.ts";
import { answerText, ask, say } from "../support/sse.ts";
import { createWorld, type World } from "../support/world.ts";

const toolOf = (name: string, field: string) => ({
  type: "function",
  function: { name, parameters: { type: "object", properties: { [field]: { type: "string" } } } },
});
/** The tools of a coding client. */
const hands = { tools: [toolOf("bash", "command"), toolOf("read", "filePath"), toolOf("edit", "filePath")] };
const OWN = ["Bash", "Edit", "Read", "Write"];

/** The tools that the model is offered with the message that has this text, without those of the client. */
async function ownTools({ mock }: World, asked: RegExp): Promise<readonly string[]> {
  const { tools = [] } = (await mock.request(asked)).body;
  return tools.map(({ name }) => name).filter((name) => !name.startsWith("mcp__"));
}

test("over stream-json a coding client's own tools replace Claude's, also where a request comes without them", async () => {
  await using world = await createWorld({ env: { SYNTHESIS_ENGINE: "stream" } });
  await say(world.server, "first");
  expect(await ownTools(world, /first/)).toEqual(expect.arrayContaining(OWN));
  expect((await say(world.server, "second", hands)).origin).toBe("resumed");
  const { tools = [] } = (await world.mock.request(/second/)).body;
  const names = tools.map(({ name }) => name);
  expect(names).toEqual(expect.arrayContaining(["Agent", "mcp__plugin_synthesis_chat__bash"]));
  expect(names.filter((name) => OWN.includes(name))).toEqual([]);
  expect((await say(world.server, "third")).origin).toBe("warm");
  await world.server.post(ask("fourth", { ...hands, stream: false }), { "x-synthesis-claude-tools": "WebFetch,Bash" });
  expect(await ownTools(world, /fourth/)).toEqual(["WebFetch"]);
});

test("in a terminal a coding client's own tools replace Claude's", async () => {
  await using world = await createWorld({ env: { SYNTHESIS_ENGINE: "interactive" } });
  await say(world.server, "hello", hands);
  const own = await ownTools(world, /hello/);
  expect(own).toContain("Agent");
  expect(own.filter((name) => OWN.includes(name))).toEqual([]);
});

test("none leaves only the client's tools, in a terminal too", async () => {
  await using world = await createWorld({ env: { SYNTHESIS_ENGINE: "interactive", SYNTHESIS_CLAUDE_TOOLS: "none" } });
  await say(world.server, "hello", hands);
  expect(await ownTools(world, /hello/)).toEqual([]);
  const { tools = [] } = (await world.mock.request(/hello/)).body;
  expect(tools).toHaveLength(3);
});

test("a chat key with its own choice of Claude's tools has no others, whatever its client asks for", async () => {
  await using world = await createWorld({ env: { SYNTHESIS_ENGINE: "stream" } });
  const key = addKey(join(world.claude.base, "state/keys.json"), "bob", { claudeTools: ["Read"] });
  const headers = { authorization: `Bearer ${key}`, "x-openclaw-agent-id": "ops", "x-synthesis-claude-tools": "all" };
  await answerText(await world.server.post(ask("hello"), headers));
  expect(await ownTools(world, /hello/)).toEqual(["Read"]);
});
