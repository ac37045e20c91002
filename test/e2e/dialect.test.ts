/** On the real claude: what particular clients send, such as images in tool results, begun answers, and files. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync, statSync } from "node:fs";
import { type ModelRequest, text, toolUse } from "../support/mock-anthropic.ts";
import { agentRequest, contextMessage } from "../support/openclaw.ts";
import { createWorld, type World } from "../support/world.ts";

let world: World;
beforeAll(async () => {
  world = await createWorld();
});
afterAll(() => world[Symbol.asyncDispose]());

const PREFIX = "mcp__plugin_synthesis_chat__";
const PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
const PDF = Buffer.from("%PDF-1.1\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n").toString("base64");
const image = { type: "image_url", image_url: { url: `data:image/png;base64,${PNG}` } };
const part = (value: string) => ({ type: "text", text: value });
const tool = (name: string) => ({ type: "function", function: { name, parameters: { type: "object" } } });
const say = (content: unknown, more: object = {}) => ({ role: "user", content, ...more });
const answer = (content: unknown, more: object = {}) => ({ role: "assistant", content, ...more });

interface Choice {
  readonly message: {
    readonly content: string | null;
    readonly tool_calls?: readonly { id: string; function: { name: string } }[];
    readonly function_call?: { readonly name: string; readonly arguments: string };
  };
  readonly finish_reason: string;
}
/** Sends messages and gets one unstreamed answer. Without a `user` it is a one-shot. */
const post = async (user: string | null, messages: object[], more: object = {}): Promise<Choice> => {
  const body = { model: "synthesis-claude-bridge", messages, ...(user === null ? {} : { user }), ...more };
  const response = await world.server.post(body);
  expect(response.status).toBe(200);
  return ((await response.json()) as { choices: [Choice] }).choices[0];
};
const content = async (...asked: Parameters<typeof post>) => (await post(...asked)).message.content;
const ids = ({ message }: Choice) => (message.tool_calls ?? []).map(({ id }) => id);
/** The newest model request with a matching newest user message. Claude makes other model requests at any time. */
const newest = (match: RegExp) => world.mock.requests.findLast(({ asked }) => match.test(asked)) as ModelRequest;
/** The newest model request of a one-shot. */
const newestOneShot = () =>
  world.mock.requests.findLast(({ shown }) => !shown.includes("<channel source=")) as ModelRequest;
/** How many model requests claude has made for this message. */
const countRequests = (match: RegExp) => world.mock.requests.filter(({ asked }) => match.test(asked)).length;
/** The text of each tool result in a model request, with a 🖼 for each image in it. */
const resultsIn = ({ body }: ModelRequest) =>
  body.messages
    .flatMap(({ content }) => (typeof content === "string" ? [] : content))
    .filter(({ type }) => type === "tool_result")
    .map(({ content }) => {
      const blocks = (typeof content === "string" ? [part(content)] : content) as { type: string; text?: string }[];
      // Claude saves each image as a file, and adds its path.
      const shown = blocks.flatMap(({ text = "" }) => (/^$|^\[Image: source: /.test(text) ? [] : [text])).join("|");
      return `${shown} ${"🖼".repeat(blocks.filter(({ type }) => type === "image").length)}`.trim();
    });

describe("images of tool results", () => {
  const tools = [tool("browser"), tool("camera")];
  /** All forms in one conversation. */
  const history: object[] = [];
  const forms: [what: string, results: string[], images: object[], given: string[]][] = [
    [
      "OpenClaw",
      ["(see attached image)", "done"],
      [say([part("Image(s) from tool result #1 (browser):"), image])],
      ["(see attached image) 🖼", "done"],
    ],
    [
      "OpenClaw, for both results",
      ["one", "two"],
      [
        say([
          part("Image(s) from tool result #1 (browser):"),
          image,
          part("Image(s) from tool result #2 (camera):"),
          image,
          image,
        ]),
      ],
      ["one 🖼", "two 🖼🖼"],
    ],
    [
      "pi",
      ["one", "(see attached image)"],
      [say([part("Attached image(s) from tool result:"), image])],
      ["(see attached image) 🖼", "one"],
    ],
    [
      "Cline",
      ["(see following user message for image)", "two"],
      [say([image])],
      ["(see following user message for image) 🖼", "two"],
    ],
  ];
  test.each(forms)(
    "are put into the results when a user message contains them (%s)",
    async (what, results, images, given) => {
      const question = `look with ${what}\n`;
      world.mock.on(new RegExp(question), function* ({ toolResults }) {
        if (toolResults.length === 0) {
          yield toolUse(`${PREFIX}browser`, {});
          yield toolUse(`${PREFIX}camera`, {});
        } else yield text("I see.");
      });
      history.push(say(question.trim()));
      const calling = await post("images", history, { tools });
      expect([calling.finish_reason, ids(calling).length]).toEqual(["tool_calls", 2]);
      const sent = results.map((content, at) => ({ role: "tool", tool_call_id: ids(calling)[at], content }));
      history.push(answer(null, calling.message), ...sent, ...images);
      expect(await content("images", history, { tools })).toBe("I see.");
      // One request with the calls and one with the results: the images are not a message of the user.
      expect(countRequests(new RegExp(question))).toBe(2);
      expect(
        resultsIn(newest(new RegExp(question)))
          .slice(-2)
          .sort(),
      ).toEqual(given);
      history.push(answer("I see."), say(`and after ${what}?`));
      expect(await content("images", history, { tools })).toBe(`You said: and after ${what}?`);
      history.push(answer(`You said: and after ${what}?`));
      expect(newest(/and after/).shown).not.toContain("from tool result");
    },
  );

  test("are put into the results of OpenClaw, which rewrites call ids and adds a context message", async () => {
    world.mock.on(/look for OpenClaw/, function* ({ toolResults }) {
      if (toolResults.length === 0) yield toolUse(`${PREFIX}browser`, {});
      else yield text("I see.");
    });
    const request = (...messages: Parameters<typeof agentRequest>[0]) =>
      agentRequest(messages, { session: "agent:main:images", tools: ["browser"], workspace: world.claude.workspace });
    const send = async (...messages: Parameters<typeof agentRequest>[0]) => {
      const { request: body, headers } = request(...messages);
      const response = await world.server.post({ ...body, stream: false }, Object.fromEntries(headers));
      return ((await response.json()) as { choices: [Choice] }).choices[0];
    };
    const asked = await send({ role: "user", content: "look for OpenClaw" }, contextMessage("Events: none"));
    const id = ids(asked)[0]?.replace(/[^A-Za-z0-9]/g, "");
    const got = await send(
      { role: "user", content: "look for OpenClaw" },
      {
        role: "assistant",
        content: null,
        tool_calls: [{ id, type: "function", function: { name: "browser", arguments: "{}" } }],
      },
      { role: "tool", tool_call_id: id, content: "(see attached image)" },
      { role: "user", content: [part("Image(s) from tool result #1 (browser):"), image] },
      contextMessage("Events: one"),
    );
    expect([got.message.content, got.finish_reason]).toEqual(["I see.", "stop"]);
    expect(countRequests(/look for OpenClaw/)).toBe(2);
    expect(resultsIn(newest(/look for OpenClaw/))[0]).toContain("🖼");
  });

  test("are sent with late results in a turn of their own, and are named in a history", async () => {
    const result = [
      say("show my home"),
      answer(null, {
        tool_calls: [{ id: "call9", type: "function", function: { name: "browser", arguments: '{"at":"home"}' } }],
      }),
      { role: "tool", tool_call_id: "call9", content: "(see attached image)" },
      say([part("Attached image(s) from tool result:"), image]),
    ];
    const got = await content("images over", result, { tools });
    expect(got).toContain("[browser returned]\n(see attached image)");
    expect(got).not.toContain("Attached");
    expect(newest(/browser returned/).asked).toMatch(/image_1="[^"]+\.png"/);
    await content("images past", [...result, answer("A home."), say("and now?")], { tools });
    expect(newest(/and now/).asked).toContain(
      'User: show my home\n\nAssistant: [called browser with {"at":"home"}]\n\n[browser] Tool result: (see attached image)\n[image]\n\nAssistant: A home.',
    );
    // A one-shot is shown the image itself.
    await content(null, result);
    expect(JSON.stringify(newestOneShot().body.messages)).toContain('"media_type":"image/png"');
  });

  test("belong to the message when the user writes about them", async () => {
    world.mock.on(/look twice/, function* ({ toolResults }) {
      if (toolResults.length === 0) yield toolUse(`${PREFIX}browser`, {});
      else yield text("not this");
    });
    const asked = await post("images", [...history, say("look twice")], { tools });
    const messages = [
      say("look twice"),
      answer(null, asked.message),
      { role: "tool", tool_call_id: ids(asked)[0], content: "done" },
      say([part("Image(s) from tool result look odd, see mine:"), image]),
    ];
    expect(await content("images", [...history, ...messages], { tools })).toContain(
      "You said: Image(s) from tool result look odd",
    );
  });
});

describe("an answer that the client has begun", () => {
  test.each([["begun"], [null]])("is continued without a repetition (user %p)", async (user) => {
    world.mock.on(/Once upon a[\s\S]*Continue it|last message is not finished/, function* () {
      yield text(" time there was");
      yield text(" a fox.");
    });
    const messages = [say("Tell me a story."), answer("Once upon a")];
    expect(await content(user, messages)).toBe(" time there was a fox.");
    const { shown } = newest(/Once upon a|last message is not finished/);
    expect(shown).toContain("Once upon a");
    expect(shown).toContain("Continue it");
    world.mock.on(/Once upon a[\s\S]*Continue it|last message is not finished/, function* () {
      yield text("Once upon");
      yield text(" a hill.");
    });
    expect(await content(user, messages)).toBe(" hill.");
    const chunks = await world.server.openai.chat.completions.create({
      model: "synthesis-claude-bridge",
      stream: true,
      messages: messages as never,
      ...(user === null ? {} : { user }),
    });
    let streamed = "";
    for await (const chunk of chunks) streamed += chunk.choices[0]?.delta.content ?? "";
    expect(streamed).toBe(" hill.");
  });

  test("can be JSON", async () => {
    world.mock.on(/last message is not finished/, function* ({ shown }) {
      yield text(shown.includes("again") ? '{"n": 2}' : "1}");
    });
    const more = { response_format: { type: "json_object" } };
    expect(await content(null, [say("Give n."), answer('{"n": ')], more)).toBe("1}");
    expect(await content(null, [say("Give n again."), answer('{"n": ')], more)).toBe("2}");
  });

  test("is not an edit of the conversation: claude is sent the message once", async () => {
    await content("begun later", [say("first of all")]);
    const history = [say("first of all"), answer("You said: first of all"), say("second thing")];
    await content("begun later", [...history, answer("The second")]);
    expect(newest(/begun/).asked).toContain("second thing");
    await content("begun later", [...history, answer("The second thing is")]);
    // Claude already has the message, so it is sent only the beginning of the answer.
    expect(newest(/The second thing is/).asked).not.toContain("\nsecond thing");
    await content("begun later", [...history, answer("The second thing is blue."), say("third thing")]);
    expect(newest(/third thing/).asked).toMatch(/^<channel [^>]*>\nthird thing\n<\/channel>/);
    expect(newest(/third thing/).shown.split("\nsecond thing")).toHaveLength(2);
  });
});

describe("a request without text", () => {
  test.each([["quiet"], [null]])("asks claude to begin, or says that the message was empty (user %p)", async (user) => {
    const rules = { role: "system", content: "Greet people." };
    world.mock.on(/There is no message yet/, function* () {
      yield text("Hello!");
    });
    world.mock.on(/The message was empty/, function* () {
      yield text("Say something.");
    });
    expect(await content(user, [rules])).toBe("Hello!");
    expect(newest(/There is no message yet/).shown).toContain("Greet people.");
    const empty = user === null ? [""] : ["", null, [], " \n", [part("")]];
    const history: object[] = [rules, answer("Hello!")];
    for (const one of empty) {
      expect(await content(user, [...history, say(one)])).toBe("Say something.");
      history.push(say(one), answer("Say something."));
    }
    expect(await content(user, [...history, say("here I am")])).toBe("You said: here I am");
    if (user !== null) expect(newest(/here I am/).asked).toMatch(/^<channel [^>]*>\nhere I am\n<\/channel>/);
  });

  test("is refused when it has no messages", async () => {
    const response = await world.server.post({ model: "synthesis-claude-bridge", user: "none", messages: [] });
    expect(response.status).toBe(400);
  });
});

test("a history keeps the names of speakers, refusals, and the arguments of tools", async () => {
  const history = [
    say("find it", { name: "Ada" }),
    answer("", { tool_calls: [{ id: "1", function: { name: "find", arguments: { what: "it" } } }] }),
    { role: "tool", tool_call_id: "1", content: "found" },
    answer(null, { refusal: "I cannot open it." }),
    say("why?", { name: "Bob" }),
    answer(null, { function_call: { name: "explain", arguments: '{"deep":true}' } }),
    { role: "function", name: "explain", content: "locked" },
    answer([{ type: "refusal", refusal: "It is locked." }]),
    say("ok", { name: "Ada" }),
  ];
  expect(await content("history", history)).toContain("Ada: ok");
  expect(newest(/Ada: ok/).asked).toContain(
    [
      "[Ada] User: find it",
      'Assistant: [called find with {"what":"it"}]',
      "[find] Tool result: found",
      "Assistant: I cannot open it.",
      "[Bob] User: why?",
      'Assistant: [called explain with {"deep":true}]',
      "[explain] Tool result: locked",
      "Assistant: It is locked.",
    ].join("\n\n"),
  );
});

describe("functions of OpenAI's older API", () => {
  const functions = [{ name: "weather", description: "The weather", parameters: { type: "object", properties: {} } }];

  test("are tools, and are called one at a time in that form", async () => {
    world.mock.on(/what weather/, function* ({ toolResults }) {
      if (toolResults.length > 0) return yield text(`It is ${toolResults.map(({ content }) => content).join(", ")}.`);
      yield toolUse(`${PREFIX}weather`, { city: "Rome" });
      yield toolUse(`${PREFIX}weather`, { city: "Oslo" });
    });
    const history: object[] = [say("what weather")];
    const cities: unknown[] = [];
    for (const found of ["warm", "cold"]) {
      const { message, finish_reason: finish } = await post("functions", history, { functions, function_call: "auto" });
      expect([finish, message.content, message.function_call?.name, message.tool_calls]).toEqual([
        "function_call",
        null,
        "weather",
        undefined,
      ]);
      cities.push(JSON.parse(message.function_call?.arguments ?? "null").city);
      history.push(answer(null, { function_call: message.function_call }), {
        role: "function",
        name: "weather",
        content: found,
      });
    }
    expect(cities).toEqual(["Rome", "Oslo"]);
    const last = await post("functions", history, { functions });
    expect(last.finish_reason).toBe("stop");
    expect(last.message.content).toMatch(/^It is (warm, cold|cold, warm)\.$/);
  });

  test("are streamed in that form, and not offered with function_call none", async () => {
    world.mock.on(/weather now/, function* ({ body }) {
      const isOffered = body.tools?.some(({ name }) => name === `${PREFIX}weather`);
      yield isOffered ? toolUse(`${PREFIX}weather`, {}) : text("none offered");
    });
    const runner = world.server.openai.chat.completions.stream({
      model: "synthesis-claude-bridge",
      user: "streamed functions",
      messages: [{ role: "user", content: "weather now" }],
      functions,
    });
    const choice = (await runner.finalChatCompletion()).choices[0];
    expect([choice?.finish_reason, choice?.message.function_call]).toEqual([
      "function_call" as never,
      { name: "weather", arguments: "{}" },
    ]);
    expect(await content("functions none", [say("weather now")], { functions, function_call: "none" })).toBe(
      "none offered",
    );
  });
});

describe("files", () => {
  const notes = { type: "input_file", filename: "notes.md", file_data: Buffer.from("# Plan\nfly").toString("base64") };
  const report = {
    type: "file",
    file: { filename: 'my "report".pdf', file_data: `data:application/pdf;base64,${PDF}` },
  };

  test("reach claude as paths that it can read", async () => {
    let paths: string[] = [];
    world.mock.on(/read both/, function* ({ asked, toolResults, body }) {
      paths = [...asked.matchAll(/file_\d="([^"]+)"/g)].map(([, path = ""]) => path);
      if (toolResults.length === 0) yield* paths.map((file_path) => toolUse("Read", { file_path }));
      else {
        const all = JSON.stringify(body.messages);
        yield text(`${all.includes(PDF)} ${all.includes("# Plan")}`);
      }
    });
    expect(await content("files", [say([part("read both"), report, notes, image])])).toBe("true true");
    expect(paths.map((path) => path.split(".").at(-1))).toEqual(["pdf", "md"]);
    expect(paths.map((path) => statSync(path).mode & 0o777)).toEqual([0o600, 0o600]);
    const tag = /^<channel [^\n]*>/.exec(newest(/read both/).asked)?.[0];
    expect(tag).toContain('file_1_name="my _report_.pdf"');
    expect(tag).toContain('file_2_name="notes.md"');
    expect(tag).toContain("image_1=");
    // A message can be a file alone.
    expect(await content("file alone", [say([report])])).toBe("You said: (See the file.)");
    expect(await content("file alone", [say([report]), answer("You said: (See the file.)"), say("more")])).toBe(
      "You said: more",
    );
  });

  test("are shown to the model of a one-shot, and named in a history", async () => {
    await content(null, [say([part("sum up"), report, notes])]);
    const [message] = newestOneShot().body.messages;
    expect(message?.content).toMatchObject([
      { text: "sum up" },
      { type: "document", title: "my _report_.pdf", source: { media_type: "application/pdf", data: PDF } },
      { text: '<file name="notes.md">\n# Plan\nfly\n</file>' },
    ]);
    await content("files past", [say([part("sum up"), report]), answer("It is short."), say("more")]);
    expect(newest(/more/).asked).toContain("User: sum up\n[file my _report_.pdf]");
  });

  test("of a tool are in its result: a text as text, a PDF as a path", async () => {
    world.mock.on(/fetch them/, function* ({ toolResults }) {
      if (toolResults.length === 0) yield toolUse(`${PREFIX}fetch`, {});
      else yield text(toolResults[0]?.content ?? "");
    });
    const asked = await post("files of a tool", [say("fetch them")], { tools: [tool("fetch")] });
    const result = { role: "tool", tool_call_id: ids(asked)[0], content: [part("two files"), report, notes] };
    const got = await content("files of a tool", [say("fetch them"), answer(null, asked.message), result]);
    expect(got).toContain("two files\n[file notes.md]\n# Plan\nfly");
    const path = /my _report_\.pdf \D*?(\/\S+\.pdf)/.exec(got ?? "")?.[1] ?? "";
    expect(readFileSync(path).toString("base64")).toBe(PDF);
  });

  test("are refused when the request does not have their content", async () => {
    for (const file of [{ file_id: "file-1" }, { file_data: "https://example.com/a.pdf" }]) {
      for (const user of ["files refused", undefined]) {
        const response = await world.server.post({ user, messages: [say([{ type: "file", file }])] });
        expect(response.status).toBe(400);
        expect(await response.json()).toMatchObject({ error: { param: "messages[0].content[0]" } });
      }
    }
  });
});
