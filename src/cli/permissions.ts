/** `synthesis permissions`: what claude asks before it does it, and the answers. */
import { Command } from "commander";
import { visibleLine } from "../core/visible-text.ts";
import type { PermissionPromptDetails } from "../wire/permissions.ts";
import { print, printJson } from "./print.ts";
import { runningServer } from "./running-server.ts";
import { homeOption } from "./settings.ts";
import { table, time } from "./table.ts";

interface Options {
  readonly home?: string;
  readonly json?: boolean;
  readonly rule?: string;
}

export function permissionsCommand(): Command {
  const command = new Command("permissions").description("show what claude asks, and answer it");
  const add = (usage: string, description: string) =>
    command.command(usage).description(description).addOption(homeOption());

  add("list", "the questions that wait, and the latest that were answered")
    .option("--json", "print JSON")
    .action(async ({ home, json }: Options) => {
      const found = await runningServer(home).permissions();
      if (json) printJson(found);
      else print(asTables(found));
    });
  add("show <id>", "all that a question is about")
    .option("--json", "print JSON")
    .action(async (id: string, { home, json }: Options) => {
      const found = await runningServer(home).permission(id);
      if (json) printJson(found);
      else print(inFull(found));
    });
  add("allow <id>", "let claude do it, this once")
    .option(
      "--rule <rule>",
      "and all that this rule of claude's allows, as Bash(git push *), in this session until it is reset",
    )
    .action(async (id: string, { home, rule }: Options) => {
      await runningServer(home).answer(id, { behavior: "allow", rule });
      print(`${id}: allowed`);
    });
  add("deny <id>", "do not let it").action(async (id: string, { home }: Options) => {
    await runningServer(home).answer(id, { behavior: "deny" });
    print(`${id}: denied`);
  });
  return command;
}

function inFull({ session, sender, asked_at, description, content }: PermissionPromptDetails): string {
  const about = [
    `Session:  ${visibleLine(session)}`,
    ...(sender === null ? [] : [`Sender:   ${visibleLine(sender)}`]),
    `Since:    ${time(asked_at)}`,
    `Claude asks to use ${visibleLine(description)}`,
  ];
  if (content === null) return about.join("\n");
  return [...about, `${content.bytes} bytes, SHA-256 ${content.sha256}…:`, "", content.text].join("\n");
}

function asTables({ data, latest }: Awaited<ReturnType<ReturnType<typeof runningServer>["permissions"]>>): string {
  const waiting = data.map(({ id, session, description, asked_at }) => [id, time(asked_at), session, description]);
  const past = latest.map((one) => [
    time(one.asked_at),
    one.verdict ?? "waits",
    one.way ?? "",
    one.decided_by ?? "",
    one.session,
    one.tool,
  ]);
  return [
    waiting.length === 0
      ? "Nothing waits for an answer."
      : table(["ID", "SINCE", "SESSION", "CLAUDE ASKS TO USE"], waiting),
    ...(past.length === 0 ? [] : [table(["LATEST", "VERDICT", "BY WAY OF", "WHO", "SESSION", "TOOL"], past)]),
  ].join("\n\n");
}
