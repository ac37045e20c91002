/** The ids of responses and of their items. They are made from the id of the turn. */

/** As OpenAI's ids begin. */
const PREFIX = { response: "resp", message: "msg", reasoning: "rs", call: "fc", customCall: "ctc" } as const;

/** @param turn a uuid @param answer which answer of the turn it is: a turn that calls tools has several */
export const responseId = (turn: string, answer: number): string =>
  `${PREFIX.response}_${turn.replaceAll("-", "")}${answer === 0 ? "" : `_${answer}`}`;

/** The id of an item. @param index its index in the output of its response */
export const itemId = (kind: Exclude<keyof typeof PREFIX, "response">, response: string, index: number): string =>
  `${PREFIX[kind]}_${response.slice(PREFIX.response.length + 1)}_${index}`;
