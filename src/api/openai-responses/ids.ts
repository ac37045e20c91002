/**
 * The ids of responses and of their items. They are made from the id of the turn, which the store has, so a response is
 * found by any of them.
 */

/** As OpenAI's ids begin. */
const PREFIX = { response: "resp", message: "msg", reasoning: "rs", call: "fc", customCall: "ctc" } as const;

const ID = /^(?:resp|msg|rs|fc|ctc)_([0-9a-f]{32})(?:_|$)/;

/** @param turn a uuid @param answer which answer of the turn it is: a turn that calls tools has several */
export const responseId = (turn: string, answer: number): string =>
  `${PREFIX.response}_${turn.replaceAll("-", "")}${answer === 0 ? "" : `_${answer}`}`;

/** The id of an item. @param index its index in the output of its response */
export const itemId = (kind: Exclude<keyof typeof PREFIX, "response">, response: string, index: number): string =>
  `${PREFIX[kind]}_${response.slice(PREFIX.response.length + 1)}_${index}`;

/** The turn of a response or an item; null for an id that another server has made. */
export function turnOf(id: string): string | null {
  const [, hex] = ID.exec(id) ?? [];
  return hex === undefined ? null : hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}
