/** Injects the faults of a schedule. */
import { Database } from "bun:sqlite";
import { join } from "node:path";
import { descendants, waitForExit, withCommand } from "../support/processes.ts";
import type { SentRequest } from "./client.ts";
import { checkLog } from "./final-checks.ts";
import type { Command } from "./orders.ts";
import type { PlannedMessage, Round } from "./schedule.ts";
import { type ChaosWorld, type Conversation, control, sessionKey, Violation } from "./world.ts";

const HOUR = 3_600_000;

/**
 * Injects the fault of one conversation.
 * @param known the pid of its claude, if that is known; null on the real claude
 * @returns the command for its stand-in
 */
export async function injectFault(
  world: ChaosWorld,
  { fault }: PlannedMessage,
  { request, conversation }: { readonly request: SentRequest; readonly conversation: Conversation },
  known: number | null,
): Promise<Command> {
  const { server, state, within } = world;
  const pid = known ?? (await pidOf(world, conversation));
  switch (fault) {
    case "lose": {
      if (known !== null) return fault;
      const [plugin] = withCommand(descendants(pid), / channel$/);
      if (plugin === undefined) throw new Error("the plugin process was not found");
      process.kill(plugin, "SIGKILL");
      await within(waitForExit([plugin]), "the plugin exits");
      return "continue";
    }
    case "kill":
    case "term":
      signal(pid, fault === "kill" ? "SIGKILL" : "SIGTERM");
      // A message sent to a dying claude would be lost with it, and its client would get an error.
      await within(server.logged(exitOf(pid)), "the server notices the exit of claude");
      return "continue";
    case "freeze":
      process.kill(pid, "SIGSTOP");
      return "continue";
    case "leave":
      request.disconnect();
      return "escape";
    case "interrupt": {
      const response = await control(server, state, `/${sessionKey(conversation)}/interrupt`, "POST");
      if (!response.ok) throw new Violation(`an interruption was refused: ${await response.text()}`);
      return "escape";
    }
    case null:
      return "continue";
    default:
      return fault;
  }
}

/** Sends a signal, unless the server has already stopped the process to make room for another one. */
function signal(pid: number, name: "SIGKILL" | "SIGTERM"): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

/** The line of the log that reports the exit of a claude. */
export const exitOf = (pid: number | null): RegExp => new RegExp(`claude exited.*"pid":${pid}\\b`);

/** The pid of a conversation's claude. */
async function pidOf({ server, state }: ChaosWorld, conversation: Conversation): Promise<number> {
  const session = (await (await control(server, state, `/${sessionKey(conversation)}`)).json()) as { pid: number };
  return session.pid;
}

/**
 * Injects a fault that hits the whole server.
 * @param release releases every held claude, and resolves when every request has ended
 */
export async function injectServerFault(
  world: ChaosWorld,
  blow: Round["serverFault"],
  release: () => Promise<unknown>,
): Promise<void> {
  const { server, clock, state, within } = world;
  switch (blow) {
    case null:
      await release();
      return;
    case "kill server":
      await within(server.stop("SIGKILL"), "the server is killed");
      await release();
      return world.restart();
    case "end server": {
      checkLog(world);
      const stopped = server.stop();
      await within(server.logged(/shutting down/), "the server begins to shut down");
      await release();
      const code = await within(stopped, "the server exits");
      if (code !== 0) throw new Violation(`the server exited with ${code}`);
      return world.restart();
    }
    case "lock database": {
      world.expectsErrors = true;
      const database = new Database(join(state, "synthesis.db"));
      database.run(`PRAGMA busy_timeout = ${world.claudes.patience}`);
      database.run("BEGIN IMMEDIATE");
      await release();
      database.run("ROLLBACK");
      database.close();
      return;
    }
    case "fill disk":
      world.expectsErrors = true;
      limitFiles(server.pid, "0");
      await release();
      limitFiles(server.pid, "unlimited");
      return;
    case "clock forward":
      clock.jump(9 * HOUR);
      await release();
      return;
    case "clock back":
      clock.jump(-HOUR);
      await release();
  }
}

/** Limits the size of every file that this process writes: the nearest to a full disk that needs no privileges. */
function limitFiles(pid: number, bytes: string): void {
  const { exitCode, stderr } = Bun.spawnSync(["prlimit", "--pid", `${pid}`, `--fsize=${bytes}:unlimited`]);
  if (exitCode !== 0) throw new Error(`prlimit: ${stderr}`);
}
