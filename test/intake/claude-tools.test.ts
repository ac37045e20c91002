/** Which of Claude's own tools are left to Claude: by the setting, the agent, the request's tools and its header. */
import { describe, expect, test } from "bun:test";
import { pathsFor } from "../../src/config/paths.ts";
import { type Config, defaults } from "../../src/config/schema.ts";
import { claudeToolsFor } from "../../src/intake/claude-tools.ts";
import { parsedRequest } from "../support/parsed-request.ts";

const toolOf = (name: string, field: string) => ({
  type: "function",
  function: { name, parameters: { type: "object", properties: { [field]: { type: "string" } } } },
});
const bash = toolOf("bash", "command");
const weather = toolOf("get_weather", "city");
const hello = { role: "user", content: "hello" };

interface Given {
  readonly tools?: readonly object[];
  readonly messages?: readonly object[];
  readonly body?: object;
  readonly header?: string;
  readonly headers?: Record<string, string>;
  readonly agent?: string;
  readonly config?: Partial<Config>;
}
function choose({ tools, messages = [hello], body = {}, header, headers = {}, agent, config }: Given = {}) {
  const sent = new Headers({ ...headers, ...(header === undefined ? {} : { "x-synthesis-claude-tools": header }) });
  const request = parsedRequest({ messages, ...(tools ? { tools } : {}), ...body }, sent);
  return claudeToolsFor(request, agent ?? null, { ...defaults(pathsFor("/home/me/.synthesis")), ...config });
}
const ALL = { only: null, without: [] };

describe("auto", () => {
  test("leaves out tools for files and shells where the client brings such tools", () => {
    const { only, without = [] } = choose({ tools: [weather, bash] }) ?? {};
    expect(only).toBeNull();
    for (const name of ["Bash", "Edit", "Write", "Read", "Grep", "Glob"]) expect(without).toContain(name);
  });

  test("leaves all with other tools, and keeps what was chosen before with none", () => {
    expect(choose({ tools: [weather] })).toEqual(ALL);
    expect(choose()).toBeNull();
  });

  test("keeps Read while messages have images or files, which Claude reads with it", () => {
    const image = { type: "image_url", image_url: { url: "data:image/png;base64,AAAA" } };
    const { without } = choose({ tools: [bash], messages: [{ role: "user", content: [image] }] }) ?? {};
    expect([without?.includes("Read"), without?.includes("Bash")]).toEqual([false, true]);
  });

  test("is the same when tool_choice rules tools out, but not when a setting does", () => {
    expect(choose({ tools: [bash], body: { tool_choice: "none" } })).toEqual(choose({ tools: [bash] }));
    expect(choose({ tools: [bash], config: { clientTools: ["none"] } })).toEqual(ALL);
  });

  test("leaves OpenClaw's Claude all", () => {
    expect(choose({ tools: [bash], headers: { "x-openclaw-session-key": "agent:main:main" } })).toEqual(ALL);
  });
});

describe("a setting", () => {
  test("is all, none or names, whatever the client brings", () => {
    expect(choose({ tools: [bash], config: { claudeTools: ["all"] } })).toEqual(ALL);
    expect(choose({ config: { claudeTools: ["none"] } })).toEqual({ only: [], without: [] });
    expect(choose({ config: { claudeTools: ["Read", "Grep"] } })).toEqual({ only: ["Read", "Grep"], without: [] });
  });

  test("of an agent comes first", () => {
    const config = { agents: { ops: { workspace: "/ops", claudeTools: ["Read"] } } };
    expect(choose({ agent: "ops", config })).toEqual({ only: ["Read"], without: [] });
    expect(choose({ agent: "other", config })).toBeNull();
  });
});

describe("the header", () => {
  test("narrows the setting", () => {
    expect(choose({ header: "none" })).toEqual({ only: [], without: [] });
    expect(choose({ header: "Read, Bash" })).toEqual({ only: ["Read", "Bash"], without: [] });
    expect(choose({ header: "Read Bash", config: { claudeTools: ["Read"] } })).toEqual({ only: ["Read"], without: [] });
    expect(choose({ header: "auto", tools: [bash], config: { claudeTools: ["all"] } })).toEqual(
      choose({ tools: [bash] }),
    );
  });

  test("adds nothing", () => {
    expect(choose({ header: "all", config: { claudeTools: ["none"] } })).toEqual({ only: [], without: [] });
    expect(choose({ header: "all", tools: [bash] })).toEqual(choose({ tools: [bash] }));
    expect(choose({ header: "Bash", config: { claudeTools: ["Read"] } })).toEqual({ only: [], without: [] });
  });

  test.each(["--dangerously-skip-permissions", "Bash(rm *)", "Read,--bare", "a/b"])("is refused as %s", (header) => {
    expect(() => choose({ header })).toThrow(
      expect.objectContaining({ code: "invalid_request", param: "x-synthesis-claude-tools" }),
    );
  });
});
