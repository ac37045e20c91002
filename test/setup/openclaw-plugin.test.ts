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
