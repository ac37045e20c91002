/** Our OpenClaw plugin, used as OpenClaw uses it. The headers that it sends are read as the server reads them. */
import { beforeAll, expect, mock, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { version } from "../../package.json";
import { openClawHeader } from "../../src/api/openclaw/headers.ts";

const folder = join(import.meta.dir, "../../src/setup/openclaw-plugin");

type Headers = Record<string, string>;
type Stream = (model: object, context: object, options?: { headers?: Headers; requestId?: string }) => unknown;
interface Provider {
  wrapStreamFn(context: { agentId?: string; workspaceDir?: string; streamFn?: Stream }): Stream | undefined;
  wrapSimpleCompletionStreamFn(context: { agentId?: string; streamFn?: Stream }): Stream | undefined;
  resolveUsageAuth(context: { resolveApiKeyFromConfigAndStore(): string | undefined }): { token: string } | null;
  fetchUsageSnapshot(context: object): Promise<object | null>;
  resolveTransportTurnState(context: { sessionId?: string }): { headers: Headers } | undefined;
}

/** Registers the plugin. `emit` calls its handler of an event. */
let load: () => { provider: Provider; emit: (hook: string, event: object, context?: object) => void };
beforeAll(async () => {
  mock.module("openclaw/plugin-sdk/plugin-entry", () => ({ definePluginEntry: (entry: unknown) => entry }));
  const { default: plugin } = (await import(join(folder, "index.js"))) as {
    default: { register(api: object): void };
  };
  load = () => {
    const handlers = new Map<string, (event: object, context: object) => void>();
    let provider: Provider | undefined;
    plugin.register({
      on: (hook: string, handler: (event: object, context: object) => void) => handlers.set(hook, handler),
      registerProvider: (one: Provider) => {
        provider = one;
      },
    });
    if (!provider) throw new Error("no provider was registered");
    return { provider, emit: (hook, event, context = {}) => handlers.get(hook)?.(event, context) };
  };
});

/** Calls the wrapped function. @returns the headers that the original function receives */
function sent(wrap: (streamFn: Stream) => Stream | undefined, options?: Parameters<Stream>[2]): Headers | undefined {
  let seen: Headers | undefined;
  const wrapped = wrap((_model, _context, options) => {
    seen = options?.headers;
  });
  wrapped?.({}, {}, options);
  return seen;
}

test("adds the agent and the workspace to the headers of a request", () => {
  const { provider } = load();
  const headers = sent((streamFn) => provider.wrapStreamFn({ agentId: "ops", workspaceDir: "/w/ops", streamFn }), {
    headers: { traceparent: "00-1" },
    requestId: "run:model:1",
  });
  expect(headers).toEqual({ traceparent: "00-1", "x-openclaw-agent-id": "ops", "x-openclaw-workspace": "/w/ops" });
});

test("marks a side request, and names no workspace in it", () => {
  const { provider } = load();
  const headers = sent((streamFn) => provider.wrapSimpleCompletionStreamFn({ streamFn }));
  expect(headers).toEqual({ "x-openclaw-kind": "simple-completion" });
});

test("marks the request for a summary of the conversation", () => {
  const { provider } = load();
  const headers = sent((streamFn) => provider.wrapStreamFn({ agentId: "ops", streamFn }), {
    requestId: "run:compaction:cmp-1:model:1",
  });
  expect(headers).toEqual({ "x-openclaw-agent-id": "ops", "x-openclaw-kind": "compaction" });
});

test("names the session key in the calls of its session only", () => {
  const { provider, emit } = load();
  emit("model_call_started", { sessionId: "s1", sessionKey: "agent:main:main" });
  emit("model_call_started", { sessionId: "s2", sessionKey: "agent:ops:main" });
  expect(provider.resolveTransportTurnState({ sessionId: "s1" })?.headers).toEqual({
    "x-openclaw-session-key": "agent:main:main",
  });
  expect(provider.resolveTransportTurnState({ sessionId: "s3" })?.headers).toEqual({});
  expect(provider.resolveTransportTurnState({})).toBeUndefined();
});

test("names the chat, the channel and the sender when OpenClaw reveals them", () => {
  const { provider, emit } = load();
  emit("before_prompt_build", {}, { sessionId: "s1", chatId: "-100", messageProvider: "telegram", senderId: 7 });
  expect(provider.resolveTransportTurnState({ sessionId: "s1" })?.headers).toEqual({
    "x-openclaw-chat-id": "-100",
    "x-openclaw-channel": "telegram",
    "x-openclaw-sender-id": "7",
  });
});

test("forgets the session that made a call longest ago", () => {
  const { provider, emit } = load();
  for (let n = 0; n <= 1000; n += 1) emit("model_call_started", { sessionId: `s${n}`, sessionKey: `k${n}` });
  expect(provider.resolveTransportTurnState({ sessionId: "s0" })?.headers).toEqual({});
  expect(provider.resolveTransportTurnState({ sessionId: "s1" })?.headers["x-openclaw-session-key"]).toBe("k1");
});

test.each(["/home/jürgen/Büro 1", "/plain/with space", "agent:main:50%25", "100%", "line\nbreak", "日本", " x "])(
  "sends %j so that the server reads the same value",
  (workspaceDir) => {
    const { provider } = load();
    const headers = sent((streamFn) => provider.wrapStreamFn({ workspaceDir, streamFn })) ?? {};
    // Like HTTP, `Headers` trims the value.
    expect(openClawHeader(new Headers(headers), "x-openclaw-workspace")).toBe(workspaceDir);
  },
);

test("the server reads a value that is not encoded as it is", () => {
  const read = (value: string) =>
    openClawHeader(new Headers({ "x-openclaw-workspace": value }), "x-openclaw-workspace");
  expect(["100%", "plain"].map(read)).toEqual(["100%", "plain"]);
});

test("has the version of the program", () => {
  for (const file of ["package.json", "openclaw.plugin.json"]) {
    expect((JSON.parse(readFileSync(join(folder, file), "utf8")) as { version: string }).version).toBe(version);
  }
});

test("gives OpenClaw the figures of the plan that are known, with the provider's own key", async () => {
  const { provider } = load();
  const window = (name: string, used_percent: number | null, resets_at: number | null) => ({
    name,
    used_percent,
    resets_at,
    seen_at: 1,
  });
  const data = [window("five_hour", 42, 5_000), window("seven_day", null, null), window("seven_day_opus", 7, null)];
  const requests: unknown[] = [];
  const context = (
    response: Response,
    config: object = { models: { providers: { synthesis: { baseUrl: "http://s/v1/" } } } },
  ) => ({
    config,
    provider: "synthesis",
    token: "chat-key",
    fetchFn: async (url: string, { headers }: { headers: object }) => {
      requests.push([url, headers]);
      return response;
    },
  });
  const snapshot = { provider: "synthesis", displayName: "Claude (synthesis)" };

  expect(provider.resolveUsageAuth({ resolveApiKeyFromConfigAndStore: () => "chat-key" })).toEqual({
    token: "chat-key",
  });
  expect(provider.resolveUsageAuth({ resolveApiKeyFromConfigAndStore: () => undefined })).toBeNull();
  expect(await provider.fetchUsageSnapshot(context(Response.json({ object: "limits", data })))).toEqual({
    ...snapshot,
    windows: [
      { label: "5h", usedPercent: 42, resetAt: 5_000 },
      { label: "seven day opus", usedPercent: 7 },
    ],
  });
  expect(requests).toEqual([["http://s/v1/limits", { authorization: "Bearer chat-key" }]]);
  expect(await provider.fetchUsageSnapshot(context(new Response(null, { status: 401 })))).toEqual({
    ...snapshot,
    windows: [],
    error: "HTTP 401",
  });
  expect(await provider.fetchUsageSnapshot(context(Response.json({}), {}))).toBeNull();
});
