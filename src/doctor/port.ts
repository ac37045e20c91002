/** Checks that the server's port is free, or that the server of this state folder uses it. */
import { z } from "zod";
import type { Paths } from "../config/paths.ts";
import type { Config } from "../config/schema.ts";
import { lockHolder } from "../store/lock.ts";
import { type Check, subject } from "./check.ts";

const port = subject("port");
/** A synthesis server on this machine answers at once. Another program may never answer. */
const HEALTH_TIMEOUT_MS = 2_000;

export async function portCheck({ lock }: Paths, { bridgePort }: Config): Promise<Check> {
  const running = lockHolder(lock);
  if (running) return port.ok(`synthesis runs (pid ${running.pid}) and listens on ${running.port ?? "a port"}`);
  try {
    // With the same options as the server.
    const server = Bun.serve({
      hostname: "127.0.0.1",
      port: bridgePort,
      reusePort: false,
      fetch: () => new Response(null, { status: 503 }),
    });
    await server.stop(true);
    return port.ok(`${bridgePort} is free; no server uses this state folder`);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EACCES") {
      return port.failed(
        "needs_root",
        `only root may open ${bridgePort}`,
        "Choose a port above 1023 with SYNTHESIS_BRIDGE_PORT.",
      );
    }
    return (await isSynthesis(bridgePort))
      ? port.failed(
          "used_by_synthesis",
          `another synthesis, with another state folder, uses ${bridgePort} on 127.0.0.1`,
          "Stop it, or choose another port with SYNTHESIS_BRIDGE_PORT.",
        )
      : port.failed(
          "used_by_another_program",
          `another program uses ${bridgePort} on 127.0.0.1`,
          "Choose another port with SYNTHESIS_BRIDGE_PORT.",
        );
  }
}

const health = z.looseObject({ ok: z.literal(true), version: z.string(), processes: z.number(), conns: z.number() });

/** Whether the program that listens on this port answers as synthesis does. */
async function isSynthesis(port: number): Promise<boolean> {
  try {
    const response = await fetch(`http://127.0.0.1:${port}/health`, {
      signal: AbortSignal.timeout(HEALTH_TIMEOUT_MS),
      proxy: false,
    });
    return health.safeParse(await response.json()).success;
  } catch {
    // The program speaks another protocol, or does not answer.
    return false;
  }
}
