/** Rows of transcripts for tests, as Claude Code writes them. */

/** The prompt of the turn `id`. */
export const prompt = (id: string) => ({
  type: "user",
  message: { role: "user", content: `<channel source="plugin:synthesis:chat" message_id="${id}">\nhi\n</channel>` },
});
const usage = { input_tokens: 10, output_tokens: 5, cache_read_input_tokens: 3, cache_creation_input_tokens: 2 };
/** A row with one content block of the assistant message `id`. */
export const block = (id: string, content: object, more: object = {}) => ({
  type: "assistant",
  message: { id, content: [content], usage },
  ...more,
});
export const textBlock = (text: string) => ({ type: "text", text });
/** The row that Claude Code writes when a turn has ended normally. */
export const end = { type: "system", subtype: "turn_duration" };
export const lines = (...rows: object[]) => rows.map((row) => JSON.stringify(row)).join("\n");
