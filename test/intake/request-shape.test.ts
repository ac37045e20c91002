/** Recognising a side request in an unknown form by all its differences from a turn, never by one of them. */
import { describe, expect, test } from "bun:test";
import { looksLikeSideRequest, shapeOf } from "../../src/intake/request-shape.ts";
import { agentTurn, openWebUiRetrieval } from "../support/front-ends.ts";
import { parsedRequest } from "../support/parsed-request.ts";

type Message = { role: string; content: unknown };
const user = (content: unknown): Message => ({ role: "user", content });
const assistant = (content: unknown): Message => ({ role: "assistant", content });
const system = (content: unknown): Message => ({ role: "system", content });
const NAMER = system("You name chats. Answer with the name.");
const OPENING = "Please prune the roses module";
const LONG = `${"Please prune the roses module, file by file. ".repeat(20)}Begin with red ones.`;

/** Whether a request is a side request about a conversation whose newest turn was `turn`. */
const isSideRequest = (turn: object, body: object, isBusy = false) =>
  looksLikeSideRequest(shapeOf(parsedRequest(turn)), parsedRequest(body), isBusy);

describe("takes for a side request", () => {
  const cases: [what: string, turn: Message[], messages: Message[], isBusy: boolean][] = [
    ["an instruction and the first message", [user(OPENING)], [NAMER, user("Name this:"), user(OPENING)], false],
    [
      "an instruction and the first message, while its turn runs",
      [user(OPENING)],
      [NAMER, user("Name this:"), user(OPENING)],
      true,
    ],
    ["an instruction and a short first message", [user("hi")], [NAMER, user("Name this:"), user("hi")], false],
    [
      "an instruction and the newest message",
      [user("x"), assistant("y"), user(OPENING)],
      [NAMER, user("Name:"), user(OPENING)],
      false,
    ],
    ["the first message alone, while its turn runs", [user(OPENING)], [NAMER, user(OPENING)], true],
    [
      "a quotation of the first message",
      [user(OPENING)],
      [NAMER, user(`Chat:\nUser: ${OPENING}\nModel: Done.`)],
      false,
    ],
    [
      "a quotation of the beginning of the first message",
      [user(LONG)],
      [NAMER, user(`Chat:\nUser: ${LONG.slice(0, 300)}…`)],
      false,
    ],
    [
      "a message that has parts in the turn",
      [user([{ type: "text", text: OPENING }])],
      [NAMER, user("Name:"), user(OPENING)],
      false,
    ],
    [
      "a request with a developer message",
      [user(OPENING)],
      [{ ...NAMER, role: "developer" }, user("Name:"), user(OPENING)],
      false,
    ],
  ];
  test.each(cases)("%s", (_what, turn, messages, isBusy) => {
    const { model } = agentTurn(turn);
    expect(isSideRequest(agentTurn(turn), { model, messages }, isBusy)).toBe(true);
  });
});

test("takes an instruction and the first message for a side request when the model is another one", () => {
  const messages = [NAMER, user("Name this:"), user(OPENING)];
  expect(isSideRequest(agentTurn([user(OPENING)]), { model: "haiku", messages })).toBe(true);
});

describe("does not take for a side request", () => {
  const turn = agentTurn([user(OPENING)]);
  const prompt = turn.messages[0] as Message;
  const cases: [what: string, turn: object, body: object, isBusy?: boolean][] = [
    ["a request with the same tools", turn, { ...turn, messages: [NAMER, user("Name:"), user(OPENING)] }],
    [
      "a request with other tools",
      turn,
      { ...turn, tools: turn.tools.slice(0, 1), messages: [NAMER, user("Name:"), user(OPENING)] },
    ],
    ["a request without tools", turn, { messages: [prompt, user(OPENING), assistant("Done."), user("Thanks!")] }],
    ["a request without tools and prompt", turn, { messages: [user(OPENING), assistant("Done."), user("Thanks!")] }],
    [
      "a request without tools and with another prompt",
      turn,
      { messages: [NAMER, user(OPENING), assistant("Done."), user("Thanks!")] },
    ],
    ["a new message alone, without tools", turn, { messages: [user("And the oaks?")] }],
    ["a new message alone, with another prompt", turn, { messages: [NAMER, user("And the oaks?")] }, true],
    ["two new messages, with another prompt", turn, { messages: [NAMER, user("And the oaks?"), user("And elms?")] }],
    ["the first message again", turn, { messages: [prompt, user(OPENING)] }, true],
    ["the first message again, with another prompt", turn, { messages: [NAMER, user(OPENING)] }],
    [
      "a new message behind the first, with another prompt",
      turn,
      { messages: [NAMER, user(OPENING), user("And the oaks?")] },
    ],
    [
      "a tool's result",
      turn,
      {
        messages: [
          NAMER,
          user(OPENING),
          { ...assistant(""), tool_calls: [{ id: "c" }] },
          { role: "tool", content: OPENING },
        ],
      },
    ],
    [
      "a short message that quotes one by chance",
      agentTurn([user("roses")]),
      { messages: [NAMER, user("Do roses like shade?")] },
    ],
    [
      "anything in a conversation without tools",
      { messages: [prompt, user(OPENING)] },
      { messages: [NAMER, user("Name:"), user(OPENING)] },
      true,
    ],
    [
      "the message with retrieved documents",
      turn,
      { messages: [NAMER, user(openWebUiRetrieval(OPENING, "In winter."))] },
    ],
    ["the message alone, to a second model", turn, { model: "haiku", messages: [NAMER, user(OPENING)] }, true],
    [
      "the message with retrieved documents, to a second model",
      turn,
      { model: "haiku", messages: [NAMER, user(openWebUiRetrieval(OPENING, "In winter."))] },
      true,
    ],
    [
      "the message behind an unanswered one, to a second model",
      agentTurn([user("Hello?"), user(OPENING)]),
      { model: "haiku", messages: [NAMER, user("Hello?"), user(OPENING)] },
      true,
    ],
    ["only a system prompt", turn, { messages: [NAMER] }, true],
    ["an empty message", agentTurn([user("")]), { messages: [NAMER, user("Name:"), user("")] }, true],
  ];
  test.each(cases)("%s", (_what, before, body, isBusy = false) => {
    expect(isSideRequest(before, { model: agentTurn([]).model, ...body }, isBusy)).toBe(false);
  });
});
