/** Which histories count as what went over the wire. */
import { describe, expect, test } from "bun:test";
import { chainAfter, wireChain } from "../../src/intake/wire-chain.ts";
import { parsedRequest } from "../support/parsed-request.ts";

const user = (content: unknown) => ({ role: "user", content });
const assistant = (content: unknown, more: object = {}) => ({ role: "assistant", content, ...more });
const weather = { type: "function", function: { name: "weather", parameters: { type: "object" } } };
const call = (args: unknown, id = "call1") => ({
  id,
  type: "function",
  function: { name: "weather", arguments: args },
});
const chain = (messages: object[], more: object = {}) => wireChain(parsedRequest({ messages, ...more }), null);

const GREETING = "Grüße,\nwie geht es?";
const FIRST = [{ role: "system", content: "Be brief." }, user(GREETING)];
const ANSWER = { text: "Très bien.\n\nEt vous ?", calls: [] };
const sent = chainAfter(chain(FIRST).whole, ANSWER);
/** The request that follows, with another form of the first message or the answer. */
const next = (answer: object, first: unknown = GREETING, more: object = {}) =>
  chain([FIRST[0] as object, user(first), answer, user("next")], more).answered;

describe("a history is known", () => {
  test.each<[what: string, answered: string | null]>([
    ["as it went over the wire", next(assistant(ANSWER.text))],
    ["with other line ends", next(assistant(ANSWER.text.replaceAll("\n", "\r\n")))],
    ["with other white space around a text", next(assistant(`\n ${ANSWER.text}  `))],
    ["with decomposed accents", next(assistant(ANSWER.text.normalize("NFD")), GREETING.normalize("NFD"))],
    ["with a text as a list of parts", next(assistant([{ type: "text", text: ANSWER.text }]))],
    ["with the name of the client's agent", next(assistant(ANSWER.text, { name: "model" }))],
    ["with fields that Claude is not given", next(assistant(ANSWER.text, { refusal: null, reasoning_content: "hm" }))],
  ])("%s", (_what, answered) => {
    expect(answered).toBe(sent);
  });

  test("with calls whose arguments were parsed and written again", () => {
    const first = [user("the weather?")];
    const calls = [{ id: "call1", name: "weather", arguments: '{"city":"Oslo","at":{"hour":1,"day":2}}' }];
    const after = chainAfter(chain(first, { tools: [weather] }).whole, { text: "", calls });
    for (const content of [null, undefined, "", []]) {
      const answer = assistant(content, { tool_calls: [call('{ "at": {"day": 2, "hour": 1}, "city": "Oslo" }')] });
      const result = { role: "tool", tool_call_id: "call1", content: "rain" };
      expect(chain([...first, answer, result], { tools: [weather] }).answered).toBe(after);
    }
  });
});

describe("a history is another one", () => {
  test.each<[what: string, answered: string | null]>([
    ["with an edited answer", next(assistant(`${ANSWER.text}!`))],
    ["with an answer without its blank line", next(assistant("Très bien.\nEt vous ?"))],
    ["with an edited message", next(assistant(ANSWER.text), "Grüße,\nwie geht es")],
    ["with another case", next(assistant(ANSWER.text), "grüße,\nwie geht es?")],
    [
      "with an image",
      next(assistant(ANSWER.text), [{ type: "image_url", image_url: { url: "data:image/png;base64,AA" } }]),
    ],
    ["with a name", chain([FIRST[0] as object, { ...user(GREETING), name: "ann" }, assistant(ANSWER.text)]).answered],
    [
      "with another system prompt",
      chain([{ role: "system", content: "Be long." }, FIRST[1] as object, assistant(ANSWER.text)]).answered,
    ],
    [
      "whose system prompt a user has written",
      chain([user("Be brief."), user(GREETING), assistant(ANSWER.text)]).answered,
    ],
    ["without its system prompt", chain([FIRST[1] as object, assistant(ANSWER.text)]).answered],
    ["for another model", next(assistant(ANSWER.text), undefined, { model: "opus" })],
    ["with other tools", next(assistant(ANSWER.text), undefined, { tools: [weather] })],
    ["with another effort", next(assistant(ANSWER.text), undefined, { reasoning_effort: "low" })],
    ["with a call in the answer", next(assistant(ANSWER.text, { tool_calls: [call("{}")] }))],
    ["that begins in the middle", chain([assistant(ANSWER.text), user("next")]).answered],
    [
      "that is longer",
      chain([...FIRST, assistant(ANSWER.text), user("more"), assistant(ANSWER.text), user("next")]).answered,
    ],
  ])("%s", (_what, answered) => {
    expect(answered).not.toBe(sent);
    expect(answered).not.toBeNull();
  });

  test("when tool_choice rules the tools out in only one of the requests", () => {
    const after = chainAfter(chain(FIRST, { tools: [weather], tool_choice: "none" }).whole, ANSWER);
    expect(next(assistant(ANSWER.text), undefined, { tools: [weather] })).not.toBe(after);
    expect(next(assistant(ANSWER.text), undefined, { tools: [weather], tool_choice: "none" })).toBe(after);
  });

  test("with the same call under another id", () => {
    const first = [user("the weather?")];
    const calls = [{ id: "call1", name: "weather", arguments: "{}" }];
    const answer = assistant(null, { tool_calls: [call("{}", "call2")] });
    expect(chain([...first, answer]).answered).not.toBe(chainAfter(chain(first).whole, { text: "", calls }));
  });

  test("with texts that are divided differently", () => {
    const one = chain([
      user([
        { type: "text", text: "a" },
        { type: "text", text: "b" },
      ]),
    ]).whole;
    expect(chain([user("a"), user("b")]).whole).not.toBe(one);
    expect(chain([user("a\nb")]).whole).not.toBe(one);
  });
});

test("a request without an answer continues nothing", () => {
  expect(chain(FIRST).answered).toBeNull();
});
