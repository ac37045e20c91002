/** On the real claude: what the model is shown when a user edits a chat, or sends it to two models. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import type OpenAI from "openai";
import { text } from "../support/mock-anthropic.ts";
import { createWorld, type World } from "../support/world.ts";

let world: World;
beforeAll(async () => {
  world = await createWorld();
  world.mock.on(/question (\w+)/, function* ({ asked, body }) {
    yield text(`answer ${/.*question (\w+)/s.exec(asked)?.[1]} of ${body.model.includes("haiku") ? "haiku" : "opus"}`);
  });
});
afterAll(() => world[Symbol.asyncDispose]());

type Message = OpenAI.ChatCompletionMessageParam;
const user = (content: string): Message => ({ role: "user", content });

/** The answer, and what the model was shown for it. */
async function say(name: string, messages: Message[], model = "opus") {
  const answer = await world.server.openai.chat.completions.create({ model, user: name, messages });
  const content = answer.choices[0]?.message.content ?? "";
  return {
    answer: content,
    shown: world.mock.requests.findLast(({ body }) => body.model.includes(model))?.shown ?? "",
  };
}
const assistant = (content: string): Message => ({ role: "assistant", content });
const times = (shown: string, what: string) => shown.split(what).length - 1;

test("messages that an undone edit restores are shown once", async () => {
  const one = [user("question one"), assistant((await say("edit", [user("question one")])).answer)];
  const two = await say("edit", [...one, user("question two")]);
  const edited = await say("edit", [...one, user("question other")]);
  expect(edited.shown).toContain("taken back their last message");
  const back = [...one, user("question two"), assistant(two.answer), user("question three")];
  const third = await say("edit", back);
  expect(third.answer).toBe("answer three of opus");
  expect(third.shown).toContain("from there on it reads:\n\nUser: question two\n\nAssistant: answer two of opus");
  const fourth = await say("edit", [...back, assistant(third.answer), user("question four")]);
  expect(times(fourth.shown, "from there on it reads:")).toBe(1);
});

test("a message without the context that a program had wrapped it in is not an edit", async () => {
  const wrap = (text: string) => `### Task:\nAnswer with the context.\n<context>\nA fact.\n</context>\n\n${text}`;
  const first = await say("rag", [user(wrap("question one"))]);
  const kept = [user("question one"), assistant(first.answer)];
  const { shown } = await say("rag", [...kept, user(wrap("question two"))]);
  expect(shown).not.toMatch(/edited|taken back|no longer count/);
  expect(times(shown, "A fact.")).toBe(2);
});

test("two models side by side are not shown each other's answers", async () => {
  const models = ["opus", "haiku"];
  const chats = models.map((): Message[] => []);
  for (const word of ["one", "two"]) {
    const rounds = await Promise.all(
      models.map((model, at) => say("side", [...(chats[at] ?? []), user(`question ${word}`)], model)),
    );
    rounds.forEach(({ answer, shown }, at) => {
      expect(answer).toBe(`answer ${word} of ${models[at]}`);
      expect(shown).not.toContain(`of ${models[1 - at]}`);
      expect(shown).not.toMatch(/edited|taken back/);
      chats[at]?.push(user(`question ${word}`), assistant(answer));
    });
  }
});
