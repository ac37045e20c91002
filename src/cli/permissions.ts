/** `synthesis permissions`: lists, shows and answers the permission prompts of the running server. */
import { Command } from "commander";
import { visibleLine } from "../core/visible-text.ts";
import type { PermissionList, PermissionPromptDetails } from "../wire/permissions.ts";
import { table, time } from "./format.ts";
import { warnOfMissingNodes } from "./missing-nodes.ts";
import { homeOption } from "./options.ts";
import { print, printJson } from "./print.ts";
import { runningServer } from "./running-server.ts";

interface Options {
  readonly home?: string;
  readonly json?: boolean;
  readonly rule?: string;
}

export function permissionsCommand(): Command {
  const command = new Command("permissions").description("show Claude's permission prompts, and answer them");
  const add = (usage: string, description: string) =>
    command.command(usage).description(description).addOption(homeOption());

  add("list", "list the prompts that wait for a verdict, and the latest ones with their verdicts")
    .option("--json", "print JSON")
    .action(async ({ home, json }: Options) => {
      const found = await runningServer(home).permissions();
      warnOfMissingNodes(found.missing_nodes);
      if (json) printJson(found);
      else print(tables(found));
    });
  add("show <id>", "show everything that a prompt is about")
    .option("--json", "print JSON")
    .action(async (id: string, { home, json }: Options) => {
      const found = await runningServer(home).permission(id);
      if (json) printJson(found);
      else print(details(found));
    });
  add("allow <id>", "allow what the prompt asks for, once")
    .option(
      "--rule <rule>",
      "also allow everything that this rule of Claude Code matches, such as Bash(git push *), until the session is reset",
    )
    .action(async (id: string, { home, rule }: Options) => {
      await runningServer(home).answer(id, { behavior: "allow", rule });
      print(`${id}: allowed`);
    });
  add("deny <id>", "deny what the prompt asks for").action(async (id: string, { home }: Options) => {
    await runningServer(home).answer(id, { behavior: "deny" });
    print(`${id}: denied`);
  });
  return command;
}

function details({ session, sender, asked_at, description, content }: PermissionPromptDetails): string {
  const about = [
    `Session:  ${visibleLine(session)}`,
    ...(sender === null ? [] : [`Sender:   ${visibleLine(sender)}`]),
    `Since:    ${time(asked_at)}`,
    `Claude asks to use ${visibleLine(description)}`,
  ];
  if (content === null) return about.join("\n");
  return [...about, `${content.bytes} bytes, SHA-256 ${content.sha256}…:`, "", content.text].join("\n");
}

function tables({ data, latest }: Pick<PermissionList, "data" | "latest">): string {
  const waiting = data.map(({ id, session, description, asked_at }) => [id, time(asked_at), session, description]);
  const past = latest.map((one) => [
    time(one.asked_at),
    one.verdict ?? "waiting",
    one.way ?? "",
    one.decided_by ?? "",
    one.session,
    one.tool,
  ]);
  return [
    waiting.length === 0
      ? "No permission prompt waits for a verdict."
      : table(["ID", "SINCE", "SESSION", "CLAUDE ASKS TO USE"], waiting),
    ...(past.length === 0 ? [] : [table(["LATEST", "VERDICT", "VIA", "DECIDED BY", "SESSION", "TOOL"], past)]),
  ].join("\n\n");
}
