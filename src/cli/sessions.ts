/** `synthesis sessions`: lists, shows, interrupts, resets and removes the sessions of the running server. */
import { Command } from "commander";
import { visibleLine } from "../core/visible-text.ts";
import type { SessionDetails } from "../wire/sessions.ts";
import { print, printJson } from "./print.ts";
import { type RunningServer, runningServer } from "./running-server.ts";
import { homeOption } from "./settings.ts";
import { seconds, table, time } from "./table.ts";

interface Options {
  readonly home?: string;
  readonly json?: boolean;
  readonly transcript?: boolean;
}

export function sessionsCommand(): Command {
  const command = new Command("sessions").description(
    "show, interrupt, reset and remove the running server's sessions",
  );
  const add = (usage: string, description: string) =>
    command.command(usage).description(description).addOption(homeOption());
  const change = (
    usage: string,
    description: string,
    [method, path, done]: readonly ["POST" | "DELETE", (options: Options) => string, string],
  ) =>
    add(`${usage} <session>`, `${description}; instead of the session's key, its beginning or end is enough`).action(
      async (name: string, options: Options) => {
        const server = runningServer(options.home);
        const key = await server.keyOf(name);
        await server.change(method, key, path(options));
        print(`${visibleLine(key)}: ${done}`);
      },
    );

  add("list", "list all sessions, the one used last first")
    .option("--json", "print JSON")
    .action(async ({ home, json }: Options) => {
      const server = runningServer(home);
      if (json) printJson(await server.sessions());
      else print(await listTable(server));
    });
  add("show <session>", "show a session, its last turns and its past Claude sessions")
    .option("--json", "print JSON")
    .action(async (name: string, { home, json }: Options) => {
      const server = runningServer(home);
      const session = await server.session(await server.keyOf(name));
      if (json) printJson(session);
      else print(details(session));
    });
  change("interrupt", "interrupt the running turn", ["POST", () => "/interrupt", "interrupted"]);
  change("reset", "stop the turn and the agent process; the next message starts a new Claude session", [
    "POST",
    () => "/reset",
    "reset; the next message starts a new Claude session",
  ]);
  change("rm", "stop the turn and the agent process, and remove the session", [
    "DELETE",
    ({ transcript }) => (transcript ? "?transcript=1" : ""),
    "removed",
  ]).option("--transcript", "also delete Claude Code's transcripts of the session");
  return command;
}

async function listTable(server: RunningServer): Promise<string> {
  const sessions = await server.sessions();
  if (sessions.length === 0) return "There are no sessions yet. A client's first message starts one.";
  return table(
    ["SESSION", "STATE", "WAITING", "TURNS", "LAST ACTIVE", "PID", "WORKSPACE"],
    sessions.map(({ key, state, waiting, turns, last_active_at, pid, workspace }) => [
      key,
      state,
      `${waiting}`,
      `${turns}`,
      time(last_active_at),
      `${pid ?? "–"}`,
      workspace,
    ]),
  );
}

function details({ last_turns, past_sessions, created_at, last_active_at, ...facts }: SessionDetails): string {
  const about = [
    ...Object.entries(facts).flatMap(([name, value]) => (value === null ? [] : [[name.replace("_", " "), `${value}`]])),
    ["created", time(created_at)],
    ["last active", time(last_active_at)],
  ];
  const turns = last_turns.map(({ state, sent_at, first_text_at, ended_at, tokens_in, tokens_out, error_code }) => [
    time(sent_at),
    state,
    seconds(sent_at, first_text_at),
    seconds(sent_at, ended_at),
    `${tokens_in ?? "–"}`,
    `${tokens_out ?? "–"}`,
    error_code ?? "",
  ]);
  const past = past_sessions.map(({ claude_session, created_at: from, ended_at: to }) => [
    claude_session,
    time(from),
    time(to),
  ]);
  return [
    about.map(([name = "", value = ""]) => `${`${name}:`.padEnd(16)}${visibleLine(value)}`).join("\n"),
    ...(turns.length === 0
      ? []
      : [table(["LAST TURNS", "STATE", "FIRST TEXT", "WHOLE", "TOKENS IN", "OUT", "ERROR"], turns)]),
    ...(past.length === 0 ? [] : [table(["PAST CLAUDE SESSIONS", "FROM", "TO"], past)]),
  ].join("\n\n");
}
