/**
 * A stand-in for claude in tests of speed and of faults. It takes claude's arguments, and answers each message with the
 * hooks and transcript rows of a short turn, in a terminal or, with `--print` or `-p`, over stream-json. No behaviour is tested
 * with it alone: the end-to-end tests run the real claude.
 *
 * It echoes a message, unless the message is one of these commands:
 * - `lines <n>` answers with n lines.
 * - `draw <n>` writes n lines on its terminal.
 * - `call <n>` makes n calls of the client's tool at the same time, and answers with the results. `call <n> late` also
 *   reacts late to interrupts, and `call <n> unrecorded` writes the calls into the transcript after it has their results.
 * - `permit <command>` asks for the permission to run a command.
 * - `break` answers `one two`; the stream of the model breaks off after the first word.
 * - `fail` fails with `rate_limit`.
 * - `hang` works until it is interrupted, `hang <n>` for at most n ms. `begin` does so after its first word.
 * - `deaf` sends no receipt. `deaf once` sends one when the message comes for the second time.
 * - `exit` ends the process, `exit later` after the transcript has the message and before the receipt, `forget` after
 *   the receipt and without a transcript row.
 * - `stay` survives SIGTERM. `stay ended` also sends the SessionEnd hook.
 * - `grow <n>` takes n MB of memory.
 *
 * With STAND_IN_ACTS it notes in that file, again and again, that it works on a message that hangs.
 *
 * Like claude it redraws its screen when the terminal changes its size. With STAND_IN_ORDERS it gets its orders from
 * that address instead, and its plugin reconnects after its socket dropped.
 */
import { appendFileSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Link, Message, Self } from "./stand-in-link.ts";
import { obey } from "./stand-in-orders.ts";
import { openStream } from "./stand-in-stream.ts";
import { openTerminal } from "./stand-in-terminal.ts";

const option = (name: string): string | undefined => {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? undefined : process.argv[at + 1];
};

const session = option("session-id") ?? option("resume") ?? "";
const orders = process.env.STAND_IN_ORDERS;
// Like a shell command of claude, it has its own process group, so it does not end with the stand-in.
if (orders) Bun.spawn(["sleep", "1000"], { detached: true, stdio: ["ignore", "ignore", "ignore"] }).unref();
const configFolder = process.env.CLAUDE_CONFIG_DIR ?? join(process.env.HOME ?? "", ".claude");
const transcript = join(configFolder, "projects/stand-in", `${session}.jsonl`);
mkdirSync(dirname(transcript), { recursive: true });
const sessionFile = join(configFolder, "sessions", `${process.pid}.json`);
mkdirSync(dirname(sessionFile), { recursive: true });
const started = Date.now();
const row = (value: object) => appendFileSync(transcript, `${JSON.stringify(value)}\n`);
const status = (status: "busy" | "idle") =>
  writeFileSync(
    sessionFile,
    JSON.stringify({
      pid: process.pid,
      sessionId: session,
      startedAt: started,
      status,
      statusUpdatedAt: Date.now(),
    }),
  );
/** With STAND_IN_ACTS, writes into that file that this process works on its session now. */
const act = () => {
  const acts = process.env.STAND_IN_ACTS;
  if (acts) appendFileSync(acts, `${session} ${process.pid} ${Date.now()}\n`);
};
const end = (code: number) => {
  rmSync(sessionFile, { force: true });
  process.exit(code);
};
status("idle");
let stays: string | null = null;
const taken: Buffer[] = [];
const mode = process.env.STAND_IN_REPLY === "frames" ? "tool" : "live";

/** Sends the answer as in live mode: with hooks, at the same time. */
const byHooks = async (lines: string[], prompt_id: string, message_id: string) => {
  await Promise.all(
    lines.map((delta, index) =>
      link.hook({
        hook_event_name: "MessageDisplay",
        prompt_id,
        message_id,
        index,
        final: index === lines.length - 1,
        delta,
      }),
    ),
  );
};
/** Sends the answer as in tool mode: with the reply tool. */
const byReplies = async (lines: string[]) => {
  await Promise.all(lines.map((content, index) => link.reply(content, index === lines.length - 1)));
};

/** Makes calls as claude does: hooks, the transcript row, the calls, and a hook after each result. */
async function callTools(count: number, prompt_id: string, isRecordedLate: boolean): Promise<string> {
  const name = link.tool ?? "none";
  const tool_name = `mcp__plugin_synthesis_chat__${name}`;
  const calls = Array.from({ length: count }, (_, index) => ({
    id: `toolu_${crypto.randomUUID().replaceAll("-", "")}`,
    given: { index },
  }));
  await Promise.all(
    calls.map(({ id, given }) =>
      link.hook({ hook_event_name: "PreToolUse", prompt_id, tool_name, tool_use_id: id, tool_input: given }),
    ),
  );
  const content = calls.map(({ id }) => ({ type: "tool_use", id, name: tool_name }));
  const record = () =>
    row({
      type: "assistant",
      message: { id: `calls ${calls[0]?.id}`, content, usage: { input_tokens: 1, output_tokens: 1 } },
    });
  if (!isRecordedLate) record();
  const all = calls.map(async ({ id, given }) => {
    const text = await link.call(id, name, given);
    await link.hook({ hook_event_name: "PostToolUse", prompt_id, tool_name, tool_use_id: id });
    return text;
  });
  const results = (await Promise.all(all)).join("|");
  if (isRecordedLate) record();
  return results;
}

function interrupted(text: string): void {
  const recorded = { type: "user", message: { role: "user", content: [{ type: "text", text }] } };
  row(recorded);
  status("idle");
  link.ended("cancelled", recorded);
}

async function turn({ id, content, prompt, again }: Message): Promise<void> {
  const command = content.replace(/^<context>.*<\/context>\n\n/s, "");
  if (command === "exit") process.exit(7);
  if (command === "deaf" || (command === "deaf once" && !again)) return;
  status("busy");
  const pressed = link.interrupt();
  const prompt_id = crypto.randomUUID();
  if (command !== "forget") row({ type: "user", promptId: prompt_id, message: { role: "user", content: prompt } });
  if (command === "exit later") process.exit(7);
  await link.hook({ hook_event_name: "UserPromptSubmit", prompt_id, prompt });
  if (command === "forget") process.exit(7);
  if (command === "begin") {
    await link.hook({ hook_event_name: "MessageDisplay", prompt_id, message_id: id, index: 0, delta: "begun" });
  }
  const hang = /^(?:begin|hang ?(\d*))/.exec(command);
  if (hang) {
    const limit = hang[1] ? [Bun.sleep(Number(hang[1])).then(() => "over")] : [];
    const acting = setInterval(act, 50);
    const outcome = await Promise.race([pressed, ...limit]);
    clearInterval(acting);
    if (outcome === undefined) return interrupted("[Request interrupted by user]");
  }
  stays = /^stay( ended)?$/.exec(command)?.[0] ?? null;
  const grow = Number(/^grow (\d+)/.exec(command)?.[1] ?? 0);
  // The system counts memory only after it has been written to.
  if (grow > 0) taken.push(Buffer.alloc(grow * 1024 * 1024, 1));
  let said = content;
  const calls = Number(/^call (\d+)/.exec(command)?.[1] ?? 0);
  if (calls > 0) {
    const stopped = pressed.then(() => Bun.sleep(command.endsWith("late") ? 200 : 0));
    const outcome = await Promise.race([callTools(calls, prompt_id, command.endsWith("unrecorded")), stopped]);
    if (outcome === undefined) return interrupted("[Request interrupted by user for tool use]");
    said = outcome;
  }
  const permit = /^permit (.*)/.exec(command);
  if (permit) {
    const tool_use_id = `toolu_${crypto.randomUUID().replaceAll("-", "")}`;
    const use = { prompt_id, tool_name: "Bash", tool_use_id, tool_input: { command: permit[1] } };
    await link.hook({ hook_event_name: "PreToolUse", ...use });
    await link.hook({ hook_event_name: "PermissionRequest", ...use });
    await link.hook({ hook_event_name: "PostToolUseFailure", ...use });
  }
  const draw = Number(/^draw (\d+)/.exec(command)?.[1] ?? 0);
  if ("drawn" in link) {
    link.drawn = Array.from({ length: draw }, (_, line) => `drawn ${line}${".".repeat(100)}\r\n`);
    for (const line of link.drawn) process.stdout.write(line);
  }
  if (command === "fail") {
    const failure = { error: "rate_limit", last_assistant_message: "API Error: Request rejected (429) · slow down" };
    await link.hook({ hook_event_name: "StopFailure", prompt_id, ...failure });
    status("idle");
    return link.ended("cancelled");
  }
  const count = Number(/^lines (\d+)/.exec(command)?.[1] ?? 0);
  let lines = count ? Array.from({ length: count }, (_, i) => `${said} ${i}\n`) : [`You said: ${said}`];
  if (command === "break") {
    lines = ["one two"];
    await link.hook({ hook_event_name: "MessageDisplay", prompt_id, message_id: id, index: 0, delta: "one " });
    link.repeat(id, "one two");
  } else if (mode === "tool") await byReplies(lines);
  else await byHooks(lines, prompt_id, id);
  const text = lines.join("");
  const usage = { input_tokens: 3, output_tokens: lines.length, cache_read_input_tokens: 1 };
  row({ type: "assistant", message: { id, content: [{ type: "text", text }], usage } });
  row({ type: "system", subtype: "turn_duration" });
  status("idle");
  await link.hook({ hook_event_name: "Stop", prompt_id, last_assistant_message: text.trim() });
  link.ended("completed");
}

const self: Self = { session, transcript, row, status, end };
const take = (message: Message, forget = () => {}) =>
  void (orders ? obey(orders, self, link, mode, message, forget) : turn(message));
const link: Link & { drawn?: string[] } = process.argv.some((argument) => argument === "--print" || argument === "-p")
  ? openStream(self, take)
  : openTerminal(
      self,
      { plugin: option("plugin-dir") ?? "", debug: option("debug-file") ?? "" },
      orders !== undefined,
      take,
    );

process.on("SIGTERM", () => {
  if (stays === null) end(143);
  else if (stays === "stay ended") void link.hook({ hook_event_name: "SessionEnd" });
});
process.on("SIGHUP", () => end(129));
