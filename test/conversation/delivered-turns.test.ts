/** What a conversation remembers of the turns that Claude has received. */
import { describe, expect, test } from "bun:test";
import { DeliveredTurns, deliveredTurn } from "../../src/conversation/delivered-turns.ts";
import type { TurnRow } from "../../src/store/schema.ts";
import { MAX_DELIVERED_TURNS } from "../../src/store/turns.ts";
import type { DeliveredTurn } from "../../src/turn/delivered-turn.ts";

const turn = (id: string, changes: Partial<DeliveredTurn> = {}): DeliveredTurn => ({
  turn: id,
  traceId: null,
  dropped: 0,
  history: [],
  exchanges: [{ users: [`user ${id}`], answer: `answer ${id}` }],
  hadHistory: true,
  volatile: null,
  answered: true,
  truncation: null,
  hasFailed: false,
  ...changes,
});
const users = ({ exchanges }: DeliveredTurns) => exchanges.flatMap((exchange) => exchange.users);

test("adds up the exchanges of its turns", () => {
  const delivered = new DeliveredTurns([turn("1")]);
  delivered.add(turn("2"), "text 2");
  expect(delivered.all.map((one) => one.turn)).toEqual(["1", "2"]);
  expect(users(delivered)).toEqual(["user 1", "user 2"]);
  delivered.add(turn("3", { dropped: 1 }), "text 3");
  expect(users(delivered)).toEqual(["user 1", "user 3"]);
});

test("forgets the oldest turn when there are too many", () => {
  const delivered = new DeliveredTurns(Array.from({ length: MAX_DELIVERED_TURNS - 1 }, (_, at) => turn(`${at}`)));
  expect(delivered.isTruncated).toBe(false);
  delivered.add(turn("second to last"), "");
  expect(delivered.isTruncated).toBe(true);
  delivered.add(turn("last"), "");
  expect(delivered.all).toHaveLength(MAX_DELIVERED_TURNS);
  expect(delivered.all[0]?.turn).toBe("1");
});

test("replaces a turn when the whole of its answer is known", () => {
  const delivered = new DeliveredTurns([turn("1", { exchanges: [{ users: ["user 1"], answer: null }] })]);
  delivered.complete(turn("1"));
  expect(delivered.exchanges[0]?.answer).toBe("answer 1");
  delivered.complete(turn("unknown"));
  expect(delivered.all).toHaveLength(1);
});

test("marks a truncated answer as received, and only a truncated one", () => {
  const delivered = new DeliveredTurns([turn("1", { answered: false, truncation: "lost" })]);
  expect(delivered.hasAnswer).toBe(false);
  expect(delivered.markAnswered("1")).toMatchObject({ answered: true, truncation: null });
  expect(delivered.hasAnswer).toBe(true);
  expect(delivered.markAnswered("1")).toBeNull();
  expect(delivered.markAnswered("2")).toBeNull();
});

test("takes over the client's wording of exchanges that the client has rewritten", () => {
  const delivered = new DeliveredTurns([turn("1"), turn("2")]);
  const [exchange] = delivered.all[0]?.exchanges ?? [];
  if (exchange) delivered.rewrite(new Map([[exchange, ["rewritten"]]]));
  expect(users(delivered)).toEqual(["rewritten", "user 2"]);
});

describe("the texts in which turns were sent", () => {
  const texts = new Map([["1", "text 1"]]);
  const create = () => {
    const delivered = new DeliveredTurns([turn("1")]);
    delivered.add(turn("2"), "text 2");
    return delivered;
  };

  test("are read only when another text than the newest is needed", async () => {
    let reads = 0;
    const read = async () => {
      reads += 1;
      return texts;
    };
    expect(await create().withSentTexts((sentText) => sentText("2"), read)).toBe("text 2");
    expect(reads).toBe(0);
    expect(await create().withSentTexts((sentText) => [sentText("1"), sentText("2")], read)).toEqual([
      "text 1",
      "text 2",
    ]);
    expect(reads).toBe(1);
  });

  test("are null for turns without one", async () => {
    expect(
      await create().withSentTexts(
        (sentText) => sentText("3"),
        async () => texts,
      ),
    ).toBeNull();
  });
});

describe("a turn from the store", () => {
  const row = {
    id: "1",
    traceId: null,
    fingerprints: ["u"],
    pastFingerprints: ["p"],
    history: null,
    exchanges: null,
    hadHistory: null,
    dropped: 0,
    volatile: null,
    firstTextAt: 1,
    errorCode: null,
  };
  const read = (changes: Partial<TurnRow>) => deliveredTurn({ ...row, ...changes } as TurnRow);

  test.each([
    ["done", null, true, null],
    ["lost", null, false, "lost"],
    ["failed", "claude_exited", false, "failed"],
    ["interrupted", "turn_interrupted", false, null],
  ] as const)(
    "in the state %s with the error %s: answered %p, truncation %p",
    (state, errorCode, answered, truncation) => {
      expect(read({ state, errorCode })).toMatchObject({ answered, truncation });
    },
  );

  test("of an older version has one exchange of its own, and one for each earlier message", () => {
    expect(read({ state: "done" })).toMatchObject({
      history: [{ users: ["p"], answer: null }],
      exchanges: [{ users: ["u"], answer: null }],
    });
  });
});
