/** A turn of the stand-in for the tests in test/chaos: it follows orders, and lists all messages in its answer. */
import { readFileSync } from "node:fs";
import { answerOf, type Command, FAILURE, MESSAGE_IDS, type Orders, type Point } from "../chaos/orders.ts";
import type { Link, Message, Self } from "./stand-in-link.ts";

/** The ids of all messages in the transcript, oldest first. */
function recordedMessages(transcript: string): string[] {
  const rows = readFileSync(transcript, "utf8").trim().split("\n");
  return rows.flatMap((line) => {
    const { type, message } = JSON.parse(line);
    return type === "user" && typeof message.content === "string" ? (message.content.match(MESSAGE_IDS) ?? []) : [];
  });
}

/**
 * Takes a turn.
 * @param from the address of the orders server
 * @param forget forgets that the message has arrived, since it was lost with the connection
 */
export async function obey(
  from: string,
  { transcript, row, status }: Self,
  link: Link,
  mode: "live" | "tool",
  { id, content, prompt, again }: Message,
  forget: () => void,
): Promise<void> {
  const { hook } = link;
  const ask = async <T>(path: string, body: object): Promise<T> => {
    const response = await fetch(`${from}/${path}`, {
      method: "POST",
      body: JSON.stringify({ pid: process.pid, ...body }),
    });
    return (await response.json()) as T;
  };
  const message = content.match(MESSAGE_IDS)?.at(-1) ?? "";
  const orders = await ask<Orders>("orders", { message });
  let mustStop = false;
  /** Reports that the turn is at this point, and follows the order it gets. @returns false when the message is lost */
  const at = async (point: Point): Promise<boolean> => {
    if (orders.hold !== point) return true;
    const command = await ask<Command>("at", { message, point });
    if (command === "escape") mustStop = true;
    else if (command !== "continue") {
      if (point === "inbound") forget();
      await link.obey(command);
      await ask("obeyed", { message });
      return point !== "inbound";
    }
    return true;
  };

  if (orders.ignoresMessage === "always" || (orders.ignoresMessage === "once" && !again)) return;
  if (!(await at("inbound"))) return;
  status("busy");
  const escaped = link.interrupt();
  const prompt_id = crypto.randomUUID();
  row({ type: "user", promptId: prompt_id, message: { role: "user", content: prompt } });
  const receipt = () => hook({ hook_event_name: "UserPromptSubmit", prompt_id, prompt });
  const interrupted = async () => {
    await escaped;
    const content = [{ type: "text", text: "[Request interrupted by user]" }];
    const recorded = { type: "user", message: { role: "user", content } };
    row(recorded);
    status("idle");
    link.ended("cancelled", recorded);
  };

  await at("taken");
  if (orders.receipt === "once" || orders.receipt === "twice") await receipt();
  if (orders.receipt === "twice") await receipt();
  await at("received");
  if (mustStop || orders.end === "hangs") return interrupted();
  if (orders.end === "ignores Escape") return;

  await link.makeNoise(orders.noise);
  if (orders.asksPermission) {
    await hook({ hook_event_name: "PermissionRequest", prompt_id, tool_name: "Bash", tool_input: { command: "ls" } });
  }
  const texts = answerOf(recordedMessages(transcript), orders, mode);
  const lastMessage = (last: string) => ({ prompt_id, last_assistant_message: last.trim() });
  const stop = () => hook({ hook_event_name: "Stop", ...lastMessage(texts.at(-1)?.join("") ?? "") });
  const record = () => {
    for (const [index, pieces] of texts.entries()) {
      const usage = { input_tokens: 3, output_tokens: pieces.length, cache_read_input_tokens: 1 };
      const content = [{ type: "text", text: pieces.join("") }];
      row({ type: "assistant", message: { id: `${id} ${index}`, content, usage } });
    }
    row({ type: "system", subtype: "turn_duration" });
  };
  const sendAnswer = async () => {
    for (const [index, { order }] of orders.messages.entries()) {
      const pieces = texts[index] ?? [];
      const message_id = `${id} ${index}`;
      for (const piece of mode === "tool" ? pieces.keys() : order) {
        const delta = pieces[piece] ?? "";
        const isLast = piece === pieces.length - 1;
        if (mode === "tool") await link.reply(delta, isLast && index === texts.length - 1);
        else {
          const hooked = { message_id, index: piece, final: isLast, delta };
          await hook({ hook_event_name: "MessageDisplay", prompt_id, ...hooked });
        }
      }
      if (mode === "live" && !order.includes(pieces.length - 1)) link.repeat(message_id, pieces.join(""));
    }
  };

  const isEarly = orders.stop === "early" && orders.end === "answers";
  // An early `Stop` makes the server read the transcript, so the transcript must be complete.
  if (isEarly) {
    record();
    status("idle");
    await stop();
  }
  // In tool mode the final reply completes the answer, so the turn cannot fail after it.
  if (mode === "live" || orders.end !== "fails") await sendAnswer();
  if (orders.receipt === "late") await receipt();
  await at("spoken");
  if (mustStop) return interrupted();
  if (isEarly) {
    await at("stopped");
    return;
  }
  if (orders.end === "fails") {
    await hook({ hook_event_name: "StopFailure", prompt_id, error: FAILURE, last_assistant_message: "Too much." });
    status("idle");
    return link.ended("cancelled");
  }
  record();
  status("idle");
  if (orders.stop !== "lost") await stop();
  if (orders.stop === "twice") await stop();
  link.ended("completed");
  await at("stopped");
}
