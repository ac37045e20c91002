/** The channel tag at the start of a prompt: the receipt of a message. */
import { expect, test } from "bun:test";
import { channelMessageId } from "../../src/wire/hooks.ts";

const cases: [what: string, prompt: string, id: string | null][] = [
  ["our tag", '<channel source="plugin:synthesis:chat" message_id="m1" chat_id="c">\nhi\n</channel>', "m1"],
  ["message_id in any place", '<channel chat_id="c" message_id="m1">\nhi', "m1"],
  ["only the first tag", '<channel message_id="m1">\n<channel message_id="m2">\n', "m1"],
  ["only the first message_id", '<channel message_id="m1" chat_id="x" message_id="m2">\n', "m1"],
  ["not a tag further on", 'say <channel message_id="m1">', null],
  ["not a tag behind a line end", '\n<channel message_id="m1">', null],
  ["not a tag without an id", '<channel chat_id="c">\nmessage_id="m1"', null],
  ["not an attribute that ends alike", '<channel other_message_id="m1">', null],
  ["not another tag", '<channels message_id="m1">', null],
  ["not a typed prompt", "hello", null],
  ["nothing", "", null],
];
test.each(cases)("%s", (_what, prompt, id) => {
  expect(channelMessageId(prompt)).toBe(id);
});
