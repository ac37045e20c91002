import { describe, expect, test } from "bun:test";
import { OfferedTools } from "../../src/claude/offered-tools.ts";
import type { ToolResultFrame, ToolsFrame } from "../../src/wire/frames.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { catalogueOf, offeredTool } from "./launch-spec.ts";

const LISTING_MS = 3_000;

/** Tools of a process that was started with `names`, and the frames that its plugin gets. */
function createTools(...names: string[]) {
  const frames: (ToolsFrame | ToolResultFrame)[] = [];
  const clock = new ManualClock();
  const tools = new OfferedTools(
    catalogueOf(...names),
    (frame) => void frames.push(frame),
    () => ({ session: "user:test", pid: 1 }),
    clock,
  );
  const namesOf = (frame: ToolsFrame | ToolResultFrame | undefined) =>
    frame?.type === "tools" ? frame.tools.map(({ name }) => name) : [];
  return { tools, clock, frames, lastOffer: () => namesOf(frames.findLast(({ type }) => type === "tools")) };
}

const callOf = (name: string, id = "toolu_1", given: Record<string, unknown> = { q: 1 }) =>
  ({ type: "tool_call", id, name, arguments: given }) as const;
const result = [{ type: "text", text: "42" }] as const;

describe("offer", () => {
  test("sends nothing if Claude has been offered the same tools", async () => {
    const { tools, frames } = createTools("a", "b");
    await tools.offer(catalogueOf("a", "b"));

    expect(frames).toEqual([]);
  });

  test("sends new tools, and resolves when Claude Code has requested them", async () => {
    const { tools, clock, lastOffer } = createTools("a");
    let isDone = false;
    const offered = tools.offer(catalogueOf("a", "b")).then(() => {
      isDone = true;
    });
    expect(lastOffer()).toEqual(["a", "b"]);
    await clock.pass(LISTING_MS / 2);
    expect(isDone).toBe(false);

    tools.noteListed(1);
    await offered;
    expect(clock.timers).toBe(0);
  });

  test("resolves after a time-out if Claude Code does not request the tools", async () => {
    const { tools, clock } = createTools();
    const offered = tools.offer(catalogueOf("a"));
    await clock.pass(LISTING_MS);

    await offered;
  });

  test("ignores a request for an older revision", async () => {
    const { tools, clock } = createTools();
    void tools.offer(catalogueOf("a"));
    let isDone = false;
    void tools.offer(catalogueOf("a", "b")).then(() => {
      isDone = true;
    });
    tools.noteListed(1);
    await clock.pass(0);

    expect(isDone).toBe(false);
  });

  test("keeps tools in the list that are no longer offered", async () => {
    const { tools, clock, lastOffer } = createTools("a");
    void tools.offer(catalogueOf("b"));
    await clock.pass(0);

    expect(lastOffer()).toEqual(["a", "b"]);
    expect([...tools.catalogue.keys()]).toEqual(["b"]);
  });

  test("sends a tool again whose definition has changed", async () => {
    const { tools, frames } = createTools("a");
    void tools.offer(new Map([["a", offeredTool("a", "does something else")]]));

    expect(frames).toMatchObject([{ type: "tools", tools: [{ name: "a", description: "does something else" }] }]);
  });

  test("is repeated for a plugin that reconnects before Claude Code has requested the tools", async () => {
    const { tools, frames } = createTools();
    tools.repeat();
    expect(frames).toHaveLength(0);
    void tools.offer(catalogueOf("a"));
    tools.repeat();
    expect(frames).toHaveLength(2);

    tools.noteListed(1);
    tools.repeat();
    expect(frames).toHaveLength(2);
  });
});

describe("a call", () => {
  test("is passed on once, under the client's name and with its arguments as JSON", () => {
    const { tools } = createTools("a");

    expect(tools.receive(callOf("a"))).toEqual({ id: "toolu_1", name: "a", arguments: '{"q":1}' });
    expect(tools.receive(callOf("a"))).toBeNull();
  });

  test("of a tool that is no longer offered is answered with an error", async () => {
    const { tools, frames, clock } = createTools("a");
    void tools.offer(catalogueOf("b"));
    await clock.pass(0);

    expect(tools.receive(callOf("a"))).toBeNull();
    expect(frames.at(-1)).toMatchObject({ type: "tool_result", id: "toolu_1", is_error: true });
  });

  test("that is repeated after a lost connection gets its result again", () => {
    const { tools, frames } = createTools("a");
    tools.receive(callOf("a"));
    tools.answer("toolu_1", result, false);
    expect(tools.receive(callOf("a"))).toBeNull();

    const frame = { type: "tool_result", id: "toolu_1", content: result, is_error: false };
    expect(frames).toEqual([frame, frame] as never);
  });

  test("keeps its first result", () => {
    const { tools, frames } = createTools("a");
    tools.receive(callOf("a"));
    tools.answer("toolu_1", result, false);
    tools.answer("toolu_1", [{ type: "text", text: "too late" }], true);

    expect(frames).toHaveLength(1);
  });

  test("is forgotten with the next message", () => {
    const { tools } = createTools("a");
    tools.receive(callOf("a"));
    tools.forgetCalls();

    expect(tools.receive(callOf("a"))).not.toBeNull();
  });
});
