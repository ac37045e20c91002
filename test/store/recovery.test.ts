/** What opening the database does to the turns and permission prompts of a killed server. */
import { expect, test } from "bun:test";
import { createPermissionLog } from "../../src/store/permissions.ts";
import { createTurnStore } from "../../src/store/turns.ts";
import { createTestDatabase, sentTurn } from "./rows.ts";

test("open turns become lost and open prompts denied, and all others stay as they are", async () => {
  using database = createTestDatabase("a");
  const turns = createTurnStore(database.store);
  for (const id of ["sent", "running", "done"]) await turns.insertSent(sentTurn(id, "a"));
  turns.markReceived("running", "a", 20, null);
  turns.markEnded("done", { state: "done", at: 30, firstTextAt: 25, errorCode: null, exchanges: null });
  turns.flush();
  const log = createPermissionLog(database.store);
  const prompt = { session: "a", turn: null, tool: "Bash", input: "{}", sender: null, askedAt: 1 };
  for (const id of ["open", "allowed"]) log.insertPrompt({ ...prompt, id });
  log.setVerdict("allowed", { verdict: "allow", way: "chat", rule: null, decidedBy: "Ann", decidedAt: 2 });

  const store = database.reopen();
  const states = createTurnStore(store).latest("a", 10);
  expect(states.map(({ id, state, endedAt }) => [id, state, typeof endedAt])).toEqual([
    ["sent", "lost", "number"],
    ["running", "lost", "number"],
    ["done", "done", "number"],
  ]);
  const verdicts = createPermissionLog(store).latest(10);
  expect(Object.fromEntries(verdicts.map(({ id, verdict, way }) => [id, [verdict, way]]))).toEqual({
    open: ["deny", "gone"],
    allowed: ["allow", "chat"],
  });
});
