/** Tries out a finished setup: sends one message from OpenClaw through synthesis to Claude. */
import { z } from "zod";
import { MODEL_REF } from "./openclaw-config.ts";
import type { OpenClawProgram } from "./openclaw-program.ts";

const health = z.looseObject({ ok: z.boolean(), version: z.string() });

/** How long a server that is not on this machine may take to answer, in ms. */
const HEALTH_TIMEOUT_MS = 5_000;

/** Whether a synthesis answers at this base URL. */
export async function isSynthesisRunning(baseUrl: string): Promise<boolean> {
  try {
    const signal = AbortSignal.timeout(HEALTH_TIMEOUT_MS);
    const response = await fetch(new URL("/health", baseUrl), { proxy: false, signal });
    return health.safeParse(await response.json()).success;
  } catch {
    // No program listens there, or another one does.
    return false;
  }
}

const answer = z.looseObject({ payloads: z.array(z.looseObject({ text: z.string().nullish() })) });
/** OpenClaw's output: the answer, which it wraps in `result` when its gateway runs. */
const output = z.union([z.looseObject({ result: answer }).transform(({ result }) => result), answer]);

/** @returns the text with which Claude answers */
export async function askThroughOpenClaw(openclaw: OpenClawProgram, agent: string): Promise<string> {
  const args = [
    ...["agent", "--agent", agent, "--session-key", `agent:${agent}:synthesis-setup`, "--model", MODEL_REF],
    ...["-m", "Answer with the one word: ready", "--json"],
  ];
  const printed = await openclaw.run([...args, "--local"]).catch((error: Error) => {
    // While OpenClaw's gateway runs, only the gateway may use OpenClaw's state.
    if (error.message.includes("Gateway is running")) return openclaw.run(args);
    throw error;
  });
  const { payloads } = output.parse(JSON.parse(printed));
  return payloads.map(({ text }) => text ?? "").join(" ");
}
