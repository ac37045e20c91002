/** Chat requests to a server under test, by as many clients as are asked for, and what they cost it. */
import { median } from "./median.ts";
import { cpuMs } from "./process-cost.ts";

export interface Target {
  readonly url: string;
  readonly key: string;
  readonly pid: number;
  /** Which model requests name; synthesis takes its own name for Claude Code's default. */
  readonly model?: string;
  stop(): Promise<unknown>;
}

/** Servers that are ended when the bench ends for any reason. */
const started: number[] = [];
process.on("exit", () => {
  for (const pid of started) {
    try {
      process.kill(pid, "SIGTERM");
    } catch {
      // It has already exited.
    }
  }
});

/** Ends the server with the bench, also when the bench fails. @returns the server */
export function endWithBench<T extends Target>(target: T): T {
  started.push(target.pid);
  return target;
}

/**
 * Sends a message in the conversation of `user`.
 * @returns the answer as it was sent
 * @throws when it is no complete stream of one
 */
export async function ask(
  { url, key, model }: Target,
  user: string,
  content: string,
  options: object = {},
): Promise<string> {
  const response = await fetch(`${url}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json", authorization: `Bearer ${key}` },
    body: JSON.stringify({
      model: model ?? "synthesis-claude-bridge",
      stream: true,
      user,
      messages: [{ role: "user", content }],
      ...options,
    }),
  });
  const answer = await response.text();
  if (!answer.includes('"content":"') || !answer.endsWith("data: [DONE]\n\n")) throw new Error(`no answer: ${answer}`);
  return answer;
}

/** Starts the conversations `0` to `count - 1`, sixteen at a time. */
export async function startConversations(target: Target, count: number, content = "hello"): Promise<void> {
  const users = Array.from({ length: count }, (_, user) => `${user}`);
  while (users.length > 0) await Promise.all(users.splice(0, 16).map((user) => ask(target, user, content)));
}

export interface Figures {
  readonly perSecond: number;
  readonly p50: number;
  readonly p99: number;
  /** CPU time of the server for each turn, in ms. */
  readonly cpu: number;
}

/** Turns of `clients` conversations, one after the other in each, for `ms`. */
export async function turnsFor(target: Target, clients: number, ms: number): Promise<Figures> {
  const times: number[] = [];
  const before = cpuMs(target.pid);
  const start = performance.now();
  await Promise.all(
    Array.from({ length: clients }, async (_, client) => {
      while (performance.now() < start + ms) {
        const sent = performance.now();
        await ask(target, `${client}`, "hello");
        times.push(performance.now() - sent);
      }
    }),
  );
  const seconds = (performance.now() - start) / 1_000;
  times.sort((one, other) => one - other);
  const at = (share: number) => times[Math.floor(times.length * share)] ?? Number.NaN;
  const cpu = (cpuMs(target.pid) - before) / times.length;
  return { perSecond: times.length / seconds, p50: at(0.5), p99: at(0.99), cpu };
}

/** `each` turns of each of `clients` conversations. */
export async function fixedTurns(target: Target, clients: number, each: number): Promise<void> {
  await Promise.all(
    Array.from({ length: clients }, async (_, client) => {
      for (let turn = 0; turn < each; turn += 1) await ask(target, `${client}`, "hello");
    }),
  );
}

/** The median of each figure of several rounds. */
export function medians(rounds: readonly Figures[]): Figures {
  const of = (figure: keyof Figures) => median(rounds.map((one) => one[figure]));
  return { perSecond: of("perSecond"), p50: of("p50"), p99: of("p99"), cpu: of("cpu") };
}
