/** The message id in the channel tag of a prompt, which is the receipt of that message. */
import { expect, test } from "bun:test";
import { channelMessageId } from "../../src/wire/hooks.ts";

const cases: [what: string, prompt: string, id: string | null][] = [
  [
    "the tag of the channel has the id",
    '<channel source="plugin:synthesis:chat" message_id="m1" chat_id="c">\nhi\n</channel>',
    "m1",
  ],
  ["message_id may be any attribute", '<channel chat_id="c" message_id="m1">\nhi', "m1"],
  ["only the first tag counts", '<channel message_id="m1">\n<channel message_id="m2">\n', "m1"],
  ["only the first message_id counts", '<channel message_id="m1" chat_id="x" message_id="m2">\n', "m1"],
  ["a tag later in the text does not count", 'say <channel message_id="m1">', null],
  ["a tag after a line break does not count", '\n<channel message_id="m1">', null],
  ["a tag without an id has none", '<channel chat_id="c">\nmessage_id="m1"', null],
  ["an attribute with a similar name does not count", '<channel other_message_id="m1">', null],
  ["a tag with a similar name does not count", '<channels message_id="m1">', null],
  ["a typed prompt has none", "hello", null],
  ["an empty prompt has none", "", null],
];
test.each(cases)("%s", (_what, prompt, id) => {
  expect(channelMessageId(prompt)).toBe(id);
});
