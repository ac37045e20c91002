/** What a chat request asks of its conversation. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathsFor } from "../../src/config/paths.ts";
import { type Config, defaults } from "../../src/config/schema.ts";
import { identify, oneShotIdentity } from "../../src/intake/identity.ts";
import { type ParsedRequest, parseRequest } from "../../src/intake/parsed-request.ts";
import { readOneShotTurnRequest, readTurnRequest } from "../../src/intake/turn-request.ts";
import { agentRequest, type OpenClawOptions, user, withTimestamp } from "../support/openclaw.ts";
import { parsedRequest } from "../support/parsed-request.ts";

let base: string;
let config: Config;
beforeAll(() => {
  base = realpathSync(mkdtempSync(join(tmpdir(), "synthesis-test-")));
  config = { ...defaults(pathsFor(base)), workspace: join(base, "work") };
});
afterAll(() => rmSync(base, { recursive: true }));

const read = (request: ParsedRequest, more: Partial<Config> = {}) => {
  const identity = identify(request, { identityFallback: "default" });
  if (!identity) throw new Error("the request belongs to no conversation");
  return readTurnRequest(request, identity, { ...config, ...more });
};
const ofOpenClaw = (options: OpenClawOptions = {}, text = withTimestamp("hello")) => {
  const { request, headers } = agentRequest([user(text)], options);
  return parseRequest(request, headers);
};

describe("a turn request of OpenClaw's", () => {
  test("has the two parts of the system prompt", () => {
    const { systemPrompt, volatile, fromOpenClaw } = read(ofOpenClaw());
    expect(systemPrompt).toContain("You are a helper");
    expect(volatile).toContain("Current date");
    expect(fromOpenClaw).toBe(true);
  });

  test("has no system prompt when the setting says to ignore it", () => {
    expect(read(ofOpenClaw(), { systemPrompt: "ignore" })).toMatchObject({ systemPrompt: "", volatile: "" });
  });

  test("has the trace of its run", () => {
    expect(read(ofOpenClaw()).traceId).toBe("0af7651916cd43dd8448eb211c80319c");
  });

  test("has a sender, unless it is a side request or the sender has invisible characters", () => {
    const from = (id: string, session?: string) =>
      read(ofOpenClaw({ headers: { "x-openclaw-sender-id": id }, ...(session ? { session } : {}) })).sender;
    expect(from("ann")).toBe("ann");
    expect(from("a%E2%80%8Bnn")).toBeNull();
    expect(from("ann", "agent:main:internal-session-effects:1")).toBeNull();
  });

  test("keeps the launch options of the process when it is a heartbeat", () => {
    expect(read(ofOpenClaw()).keepsLaunchOptions).toBe(false);
    const heartbeat = "Follow the heartbeat monitor scratch context when provided.";
    expect(read(ofOpenClaw({}, heartbeat)).keepsLaunchOptions).toBe(true);
  });
});

describe("a turn request of another client", () => {
  const hello = { messages: [user("hello")], user: "ann" };

  test("has the model and the effort under Claude Code's names", () => {
    expect(read(parsedRequest({ ...hello, model: "opus", reasoning_effort: "minimal" }))).toMatchObject({
      model: "opus",
      effort: "low",
      traceId: null,
      fromOpenClaw: false,
    });
  });

  test("always has the history when the client names its conversations by a header", () => {
    expect(read(parsedRequest(hello)).sendsHistory).toBe(false);
    expect(read(parsedRequest(hello, new Headers({ "x-session-affinity": "s" }))).sendsHistory).toBe(true);
  });
});

test("a one-shot for an interactive process is refused when it has a file, which that process could not read", () => {
  const file = { type: "file", file: { filename: "a.txt", file_data: btoa("a") } };
  const request = parsedRequest({ messages: [{ role: "user", content: [file] }] });
  expect(() => readOneShotTurnRequest(request, oneShotIdentity(null), config, join(base, "empty"))).toThrow(/Name one/);
});

test("a one-shot for an interactive process has the client's tools and an empty folder", () => {
  const request = parsedRequest({
    messages: [user("hello")],
    tools: [{ type: "function", function: { name: "look" } }],
    response_format: { type: "json_object" },
  });
  const { offer, format, workspace } = readOneShotTurnRequest(
    request,
    oneShotIdentity(null),
    config,
    join(base, "empty"),
  );
  expect([...offer.catalogue.keys()]).toEqual(["look"]);
  expect(format).toEqual({ type: "json", schema: null });
  expect(workspace).toEqual({ path: join(base, "empty"), trusted: true });
});
