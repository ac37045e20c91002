/** What goes wrong, done. */
import { Database } from "bun:sqlite";
import { join } from "node:path";
import { descendants, gone, named } from "../support/processes.ts";
import type { Sent } from "./client.ts";
import type { Word } from "./orders.ts";
import { checkLog } from "./remains.ts";
import type { Ask, Round } from "./schedule.ts";
import { type Conversation, control, type Stage, sessionKey, Wrong } from "./stage.ts";

const HOUR = 3_600_000;

/** What goes wrong in one conversation. @returns the word for its claude */
export async function strikeOne(
  stage: Stage,
  { fault }: Ask,
  { sent, conversation }: { readonly sent: Sent; readonly conversation: Conversation },
  known: number | null,
): Promise<Word> {
  const { server, state, within } = stage;
  const pid = known ?? (await claudeOf(stage, conversation));
  switch (fault) {
    case "lose": {
      if (known !== null) return fault;
      const [plugin] = named(descendants(pid), / channel$/);
      if (plugin === undefined) throw new Error("there is no plugin");
      process.kill(plugin, "SIGKILL");
      await within(gone([plugin]), "the plugin dies");
      return "go on";
    }
    case "kill":
    case "term":
      process.kill(pid, fault === "kill" ? "SIGKILL" : "SIGTERM");
      // What is said to one that is just dying is lost with it, and its client is told so.
      await within(server.logged(new RegExp(`claude exited.*"pid":${pid}\\b`)), "the server sees its claude end");
      return "go on";
    case "leave":
      sent.leave();
      return "escape";
    case "interrupt": {
      const response = await control(server, state, `/${sessionKey(conversation)}/interrupt`, "POST");
      if (!response.ok) throw new Wrong(`an interruption was refused: ${await response.text()}`);
      return "escape";
    }
    case null:
      return "go on";
    default:
      return fault;
  }
}

/** The process of a conversation's claude. */
async function claudeOf({ server, state }: Stage, conversation: Conversation): Promise<number> {
  const session = (await (await control(server, state, `/${sessionKey(conversation)}`)).json()) as { pid: number };
  return session.pid;
}

/** What goes wrong for all. @param goOn lets go of all that are held, and resolves when everything said has ended */
export async function strikeAll(stage: Stage, blow: Round["blow"], goOn: () => Promise<unknown>): Promise<void> {
  const { server, clock, state, within } = stage;
  switch (blow) {
    case null:
      await goOn();
      return;
    case "kill server":
      await within(server.stop("SIGKILL"), "the server dies");
      await goOn();
      return stage.restart();
    case "end server": {
      checkLog(stage);
      const stopped = server.stop();
      await within(server.logged(/shutting down/), "the server begins to end");
      await goOn();
      const code = await within(stopped, "the server ends");
      if (code !== 0) throw new Wrong(`the server ended with ${code}`);
      return stage.restart();
    }
    case "lock database": {
      stage.mayLog = true;
      const database = new Database(join(state, "synthesis.db"));
      database.run(`PRAGMA busy_timeout = ${stage.claudes.patience}`);
      database.run("BEGIN IMMEDIATE");
      await goOn();
      database.run("ROLLBACK");
      database.close();
      return;
    }
    case "fill disk":
      stage.mayLog = true;
      limitFiles(server.pid, "0");
      await goOn();
      limitFiles(server.pid, "unlimited");
      return;
    case "clock forward":
      clock.jump(9 * HOUR);
      await goOn();
      return;
    case "clock back":
      clock.jump(-HOUR);
      await goOn();
  }
}

/** No file of this process may grow beyond so many bytes: the nearest to a full disk that anybody may cause. */
function limitFiles(pid: number, bytes: string): void {
  const { exitCode, stderr } = Bun.spawnSync(["prlimit", "--pid", `${pid}`, `--fsize=${bytes}:unlimited`]);
  if (exitCode !== 0) throw new Error(`prlimit: ${stderr}`);
}
