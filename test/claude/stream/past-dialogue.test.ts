/** The order in which a new process is given what was said before. */
import { expect, test } from "bun:test";
import { PastDialogue } from "../../../src/claude/stream/past-dialogue.ts";
import type { DialogueTurn } from "../../../src/core/dialogue.ts";

const turn = (role: DialogueTurn["role"], text: string): DialogueTurn => ({ role, content: [{ type: "text", text }] });

/** Writes turns, and notes what was written. */
function write(...turns: DialogueTurn[]) {
  const written: string[] = [];
  let isWritten = false;
  const past = new PastDialogue(turns, (line) => written.push(JSON.parse(line).message.content[0].text));
  void past.write().then(() => {
    isWritten = true;
  });
  return { past, written, isWritten: () => Bun.sleep(0).then(() => isWritten) };
}

test("a message of the user waits until the one before was read", async () => {
  const { past, written, isWritten } = write(
    turn("user", "1"),
    turn("assistant", "2"),
    turn("user", "3"),
    turn("assistant", "4"),
  );
  expect(written).toEqual(["1"]);
  expect(past.noteRead()).toBe(true);
  expect(written).toEqual(["1", "2", "3"]);
  expect(await isWritten()).toBe(false);
  expect(past.noteRead()).toBe(true);
  expect(written).toEqual(["1", "2", "3", "4"]);
  expect(await isWritten()).toBe(true);
  // The result of the first message that is answered.
  expect(past.noteRead()).toBe(false);
});

test("nothing is written when nothing was said", async () => {
  const { past, written, isWritten } = write();
  expect(written).toEqual([]);
  expect(await isWritten()).toBe(true);
  expect(past.noteRead()).toBe(false);
});
