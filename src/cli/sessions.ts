/** `synthesis sessions`: lists, shows, interrupts, resets and deletes the sessions of the running server. */
import { Command } from "commander";
import { visibleLine } from "../core/visible-text.ts";
import type { Session, SessionDetails } from "../wire/sessions.ts";
import { seconds, table, time } from "./format.ts";
import { bar } from "./limits.ts";
import { warnOfMissingNodes } from "./missing-nodes.ts";
import { homeOption, sessionArgument } from "./options.ts";
import { print, printJson } from "./print.ts";
import { runningServer } from "./running-server.ts";

interface Options {
  readonly home?: string;
  readonly json?: boolean;
  readonly transcript?: boolean;
}

export function sessionsCommand(): Command {
  const command = new Command("sessions").description(
    "show, interrupt, reset and delete the running server's sessions",
  );
  const add = (name: string, description: string) =>
    command.command(name).description(description).addOption(homeOption());

  add("list", "list all sessions, the one used last first")
    .option("--json", "print JSON")
    .action(async ({ home, json }: Options) => {
      const { data, missing_nodes } = await runningServer(home).sessions();
      warnOfMissingNodes(missing_nodes);
      if (json) printJson(data);
      else print(listTable(data));
    });
  add("show", "show a session, its last turns and its past Claude sessions")
    .addArgument(sessionArgument())
    .option("--json", "print JSON")
    .action(async (name: string, { home, json }: Options) => {
      const server = runningServer(home);
      const session = await server.session(await server.keyOf(name));
      if (json) printJson(session);
      else print(details(session));
    });

  /** Adds a command that sends one request about a session, and prints `done`. */
  const addChange = (name: string, description: string, { method, path, done }: Change) =>
    add(name, description)
      .addArgument(sessionArgument())
      .action(async (session: string, options: Options) => {
        const server = runningServer(options.home);
        const key = await server.keyOf(session);
        await server.change(method, key, path(options));
        print(`${visibleLine(key)}: ${done}`);
      });
  addChange("interrupt", "interrupt the running turn", {
    method: "POST",
    path: () => "/interrupt",
    done: "interrupted",
  });
  addChange("reset", "stop the turn and the agent process; the next message starts a new Claude session", {
    method: "POST",
    path: () => "/reset",
    done: "reset; the next message starts a new Claude session",
  });
  addChange("rm", "stop the turn and the agent process, and delete the session", {
    method: "DELETE",
    path: ({ transcript }) => (transcript ? "?transcript=1" : ""),
    done: "deleted",
  }).option("--transcript", "also delete Claude Code's transcripts of the session");
  return command;
}

interface Change {
  readonly method: "POST" | "DELETE";
  /** What follows the session's address. */
  readonly path: (options: Options) => string;
  readonly done: string;
}

function listTable(sessions: readonly Session[]): string {
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

/** `75 % of the input, 2 misses (tools_changed)` */
function promptCache({ cache_hit_ratio, cache_misses, last_cache_miss_cause }: SessionDetails["figures"]): string {
  const ratio = cache_hit_ratio === null ? "unknown" : `${Math.round(cache_hit_ratio * 100)} % of the input`;
  const cause = last_cache_miss_cause === null ? "" : ` (${last_cache_miss_cause})`;
  return cache_misses === null ? ratio : `${ratio}, ${cache_misses} misses${cause}`;
}

function details({ last_turns, past_sessions, figures, created_at, last_active_at, ...facts }: SessionDetails): string {
  const about = [
    ...Object.entries(facts).flatMap(([name, value]) => (value === null ? [] : [[name.replace("_", " "), `${value}`]])),
    ["context used", bar(figures.context_used_percent)],
    ["session cost", figures.cost_usd === null ? "unknown" : `$${figures.cost_usd.toFixed(2)}`],
    ["prompt cache", promptCache(figures)],
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
