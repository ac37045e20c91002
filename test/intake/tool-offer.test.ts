/** Which of the client's tools Claude is offered. */
import { describe, expect, test } from "bun:test";
import { pathsFor } from "../../src/config/paths.ts";
import { type Config, defaults } from "../../src/config/schema.ts";
import { parseRequest } from "../../src/intake/parsed-request.ts";
import { toolOfferOf } from "../../src/intake/tool-offer.ts";
import { agentRequest, user } from "../support/openclaw.ts";
import { parsedRequest } from "../support/parsed-request.ts";

const config = defaults(pathsFor("/home/me/.synthesis"));
const named = (...names: string[]) => names.map((name) => ({ type: "function", function: { name } }));
const offered = (clientTools: Config["clientTools"], ...names: string[]) => {
  const request = parsedRequest({ messages: [user("hello")], tools: named(...names) });
  return [...toolOfferOf(request, { ...config, clientTools }).catalogue.keys()];
};

describe("offers", () => {
  test("all tools of another client by default", () => {
    expect(offered(["auto"], "read", "weather")).toEqual(["read", "weather"]);
  });

  test("OpenClaw's tools by default, without those that Claude Code has itself", () => {
    const { request, headers } = agentRequest([user("hello")], { tools: ["read", "exec", "message"] });
    expect([...toolOfferOf(parseRequest(request, headers), config).catalogue.keys()]).toEqual(["message"]);
  });

  test("all of OpenClaw's tools in a side request", () => {
    const { request, headers } = agentRequest([user("hello")], {
      session: "agent:main:internal-session-effects:1",
      tools: ["read", "message"],
    });
    expect([...toolOfferOf(parseRequest(request, headers), config).catalogue.keys()]).toEqual(["read", "message"]);
  });

  test("no tools, or those that match a pattern, if the setting says so", () => {
    expect(offered(["none"], "read")).toEqual([]);
    expect(offered(["web_*", "read"], "web_fetch", "read", "write")).toEqual(["web_fetch", "read"]);
  });

  test("no tool under the name of the reply tool in tool mode", () => {
    const request = parsedRequest({ messages: [user("hello")], tools: named("reply") });
    const [name] = toolOfferOf(request, { ...config, reply: "tool" }).catalogue.keys();
    expect(name).toMatch(/^reply_[0-9a-f]{6}$/);
  });
});

test("says whether the client takes several calls at once", () => {
  const request = (parallel_tool_calls?: boolean) => parsedRequest({ messages: [user("hello")], parallel_tool_calls });
  expect(toolOfferOf(request(), config).isParallel).toBe(true);
  expect(toolOfferOf(request(false), config).isParallel).toBe(false);
});
