/** Which conversation a request belongs to. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { RequestError } from "../../src/core/errors.ts";
import { type IdentityOptions, identify } from "../../src/intake/identity.ts";
import { parseRequest } from "../../src/intake/parsed-request.ts";
import { agentRequest, SESSION_ID, type Sent, user, utilityRequest, withTimestamp } from "../support/openclaw.ts";

type Names = { key?: string; agent?: string; chat?: string; user?: string; affinity?: string; front?: string };
const HEADERS = {
  key: "x-openclaw-session-key",
  agent: "x-openclaw-agent-id",
  chat: "x-openclaw-chat-id",
  affinity: "x-session-affinity",
  front: "X-Front-Chat",
} as const;

const named = ({ user: name, ...names }: Names, identityFallback: IdentityOptions["identityFallback"] = "default") => {
  const headers = new Headers();
  for (const [field, header] of Object.entries(HEADERS)) {
    const value = names[field as keyof typeof HEADERS];
    if (value !== undefined) headers.set(header, value);
  }
  return identify(
    { body: { user: name }, headers, openclaw: null },
    { identityHeader: HEADERS.front, identityFallback },
  );
};
const keyOf = (names: Names) => named(names)?.key;
const ofSent = ({ request, headers }: Sent, options: Partial<IdentityOptions> = {}) =>
  identify(parseRequest(request, headers), { identityFallback: "one-shot", ...options });

describe("the session key", () => {
  const cases: [what: string, names: Names, key: string][] = [
    [
      "is the key in OpenClaw's header, before everything else",
      { key: "agent:main:main", agent: "a", chat: "c", user: "u", affinity: "s:1", front: "f" },
      "agent:main:main",
    ],
    ["is the chat of an agent", { agent: "a", chat: "c", user: "u", affinity: "s:1" }, "chat:a::c"],
    ["is the chat of a user", { chat: "c", user: "u" }, "chat:u::c"],
    ["is a chat without agent and user", { chat: "c" }, "chat:default::c"],
    [
      "is the session affinity, before a chat program's header",
      { affinity: "s:4", front: "f", agent: "a" },
      "affinity:s",
    ],
    [
      "is a chat program's header, before the agent alone",
      { front: "f", agent: "a", user: "u" },
      "header:x-front-chat:f",
    ],
    ["is the agent alone, before the user", { agent: "a", user: "u" }, "agent-id:a"],
    ["is the user", { user: "u" }, "user:u"],
    ["is the shared one, when the request names none", {}, "default"],
    ["is never an empty name", { key: "", user: "u" }, "user:u"],
    ["gets a prefix when it looks like one of our own", { key: "user:u" }, "key:user:u"],
  ];
  test.each(cases)("%s", (_what, names, key) => {
    expect(keyOf(names)).toBe(key);
  });

  test("is null for a request that names none, unless all such requests share one", () => {
    expect(named({}, "one-shot")).toBeNull();
    expect(named({}, "default")).toMatchObject({ key: "default", source: "default" });
  });

  test("is read only from the configured header", () => {
    const headers = new Headers({ "x-other-chat": "f" });
    const request = { body: {}, headers, openclaw: null };
    const options = { identityFallback: "one-shot" } as const;
    expect(identify(request, options)).toBeNull();
    expect(identify(request, { ...options, identityHeader: "x-other-chat" })).toMatchObject({ source: "header" });
  });

  test.each(["x".repeat(257), "a\nb", "a\u0000b", "a\u2028b", "a\ud800b"])("cannot be %j", (name) => {
    expect(() => keyOf({ user: name })).toThrow(expect.objectContaining({ code: "invalid_request", param: "user" }));
  });

  test.each(["👨‍👩‍👧", "می‌خواهم", "a b", "x".repeat(256), "😀".repeat(256)])("can be %j", (name) => {
    expect(keyOf({ user: name })).toBe(`user:${name}`);
  });

  // HTTP libraries decode the bytes of a header as Latin-1.
  const bytes = (text: string, encoding: "utf8" | "latin1") => Buffer.from(text, encoding).toString("latin1");
  const written: [how: string, value: string][] = [
    ["in UTF-8", bytes("agent:main:Jürgen", "utf8")],
    ["in Latin-1", bytes("agent:main:Jürgen", "latin1")],
    ["percent-encoded", encodeURIComponent("agent:main:Jürgen")],
  ];
  test.each(written)("is the same when it is sent %s", (_how, key) => {
    expect(keyOf({ key })).toBe("agent:main:Jürgen");
  });

  test("is not percent-decoded in other headers, nor when it is not encoded", () => {
    expect(keyOf({ front: "100%25" })).toBe("header:x-front-chat:100%25");
    expect(keyOf({ key: "100%" })).toBe("100%");
  });

  test.each(Object.entries(HEADERS))("cannot be too long: %s", (field, header) => {
    try {
      keyOf({ [field]: "x".repeat(257) });
      expect.unreachable();
    } catch (error) {
      expect(error).toBeInstanceOf(RequestError);
      expect(error).toMatchObject({ code: "invalid_request", param: header });
    }
  });

  const canonical = ({ key, agent, chat, affinity, front, user: one }: Names) => {
    if (key) return { key };
    if (chat) return { chat, agent: agent ?? "default" };
    if (affinity) return { affinity };
    if (front) return { front };
    if (agent) return { agent };
    return one ? { one } : {};
  };
  const sameKey = (one: Names, other: Names) => {
    const same = JSON.stringify(canonical(one)) === JSON.stringify(canonical(other));
    if ((keyOf(one) === keyOf(other)) !== same) {
      throw new Error(`${JSON.stringify([one, other])}: ${keyOf(one)}, ${keyOf(other)}`);
    }
  };

  test("is different for names that look like each other", () => {
    const plainNames = ["a", "a::a", "a:a", "default", "x-front-chat:a"];
    const looks = plainNames.flatMap((name) => [
      name,
      ...["key:", "chat:", "chat:a::", "affinity:", "header:", "agent-id:", "user:"].map((prefix) => prefix + name),
    ]);
    const all: Names[] = [
      {},
      ...looks.flatMap((name) => [
        { key: name },
        { agent: name },
        { user: name },
        { front: name },
        { affinity: name },
        ...plainNames.map((agent) => ({ agent, chat: name })),
        ...plainNames.map((chat) => ({ agent: name, chat })),
      ]),
    ];
    const nameOfKey = new Map<string | undefined, string>();
    for (const names of all) {
      const name = JSON.stringify(canonical(names));
      expect(nameOfKey.getOrInsert(keyOf(names), name)).toBe(name);
    }
    expect(nameOfKey.size).toBe(new Set(all.map((names) => JSON.stringify(canonical(names)))).size);
  });

  test("property: is the same only for the same names", () => {
    const word = fc.string({
      unit: fc.constantFrom("a", ":", "k", "1", "user:", "key:", "chat:", "affinity:", "header:", "default"),
      minLength: 1,
      maxLength: 4,
    });
    const source: fc.Arbitrary<Names> = fc.oneof(
      fc.constant({}),
      word.map((key) => ({ key })),
      fc.record({ agent: word, chat: word }),
      word.map((chat) => ({ chat })),
      word.map((agent) => ({ agent })),
      word.map((one) => ({ user: one })),
      word.map((front) => ({ front })),
      word.filter((one) => !/:\d+$/.test(one)).map((affinity) => ({ affinity })),
    );
    fc.assert(fc.property(source, source, sameKey), { numRuns: 5000 });
  });
});

describe("OpenClaw's session", () => {
  const hello = [user(withTimestamp("hello"))];

  test("has the same key from the Runtime line as from the header", () => {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom("agent:", "main", ":", "user:", "key:", "chat:", "default"), minLength: 1 }),
        (session) => {
          const line = ofSent(agentRequest(hello, { session }));
          const header = ofSent(agentRequest(hello, { headers: { "x-openclaw-session-key": session } }));
          expect(line?.key).toBe(header?.key as string);
          expect([line?.source, header?.source]).toEqual(["runtime", "session-key"]);
        },
      ),
    );
  });

  test("comes from the Runtime line before the affinity, which is kept", () => {
    expect(ofSent(agentRequest(hello, { session: "agent:ops:main", agent: "ops", generation: 3 }))).toEqual({
      key: "agent:ops:main",
      source: "runtime",
      agent: "ops",
      chat: null,
      affinity: { id: SESSION_ID, generation: 3 },
    });
  });

  test("is found by an affinity that an earlier request had with it", () => {
    const sent = agentRequest(hello, { runtimeLine: "none", generation: 2 });
    expect(ofSent(sent)).toMatchObject({ key: `affinity:${SESSION_ID}`, source: "affinity" });
    const aliasOf = (id: string) => (id === SESSION_ID ? "agent:main:main" : undefined);
    expect(ofSent(sent, { aliasOf })).toMatchObject({ key: "agent:main:main", source: "affinity" });
  });

  const affinities: [header: string, value: string, affinity: object | null][] = [
    ["x-session-affinity", "s:0", { id: "s", generation: 0 }],
    ["session_id", "s:12", { id: "s", generation: 12 }],
    ["session_id", "s", { id: "s", generation: 0 }],
    ["session_id", "a:b:7", { id: "a:b", generation: 7 }],
    ["session_id", "s:", { id: "s:", generation: 0 }],
    ["x-client-request-id", "s:0", null],
  ];
  test.each(affinities)("has the affinity of the header %s: %s is %p", (header, value, affinity) => {
    const request = { body: { user: "u" }, headers: new Headers({ [header]: value }), openclaw: null };
    const identity = identify(request, { identityFallback: "one-shot" });
    expect(identity?.affinity).toEqual(affinity as never);
  });

  test.each([
    ["s:1", "affinity:s"],
    // Other clients send the same cache key for all their users.
    ["my-application", "user:u"],
  ])("the cache key %s gives the key %s", (prompt_cache_key, key) => {
    const request = { body: { user: "u", prompt_cache_key }, headers: new Headers(), openclaw: null };
    expect(identify(request, { identityFallback: "one-shot" })?.key).toBe(key);
  });
});

describe("a side request", () => {
  const names = { "x-openclaw-session-key": "agent:main:main", session_id: SESSION_ID };
  const cases: [what: string, sent: Sent][] = [
    ["a title", utilityRequest("Generate a concise session title, please.", "hello", names)],
    ["a summary", utilityRequest("You are a context summarization assistant. Do it.", "hello", names)],
  ];
  test.each(cases)("without tools belongs to no conversation: %s", (_what, sent) => {
    expect(ofSent(sent, { identityFallback: "default" })).toBeNull();
  });

  test("with tools has a conversation of its own", () => {
    const session = "agent:main:internal-session-effects:x-1";
    const sent = agentRequest([user("hello")], { session, generation: 1 });
    // Its affinity is the one of the person's conversation, so it is not used.
    const own = { key: session, source: "side", affinity: null };
    expect(ofSent(sent, { identityFallback: "default" })).toMatchObject(own);
    // Our plugin names the conversation that the request is about.
    const headers = { ...names, "x-openclaw-chat-id": "1001" };
    const named = agentRequest([user("hello")], { session, generation: 1, headers });
    expect(ofSent(named, { identityFallback: "default" })).toMatchObject(own);
  });
});
