/** The account: its login, its plan's limits, and the permission prompts that wait. What is unknown has no value. */
import { Counter, Gauge, type Registry } from "prom-client";
import type { Login } from "../claude/login.ts";
import type { AccountLimits } from "../limits/account.ts";
import type { Rejections } from "../limits/rejections.ts";
import type { PermissionBroker } from "../permissions/broker.ts";
import { boundedLabel } from "./label-values.ts";

const MAX_WINDOWS = 16;

interface AccountMetricsDeps {
  readonly login: Pick<Login, "state">;
  readonly limits: Pick<AccountLimits, "windows">;
  readonly rejections: Pick<Rejections, "current">;
  readonly permissions: Pick<PermissionBroker, "pending" | "onPrompt">;
}

export function addAccountMetrics(
  registry: Registry,
  { login, limits, rejections, permissions }: AccountMetricsDeps,
): void {
  const registers = [registry];
  const label = boundedLabel(MAX_WINDOWS);

  new Gauge({
    name: "synthesis_login_ok",
    help: "Whether Claude Code's login works: 1, or 0 when it was rejected or has expired; absent while it is unknown",
    registers,
    collect() {
      this.remove();
      if (login.state !== "unknown") this.set(login.state === "ok" ? 1 : 0);
    },
  });
  new Gauge({
    name: "synthesis_plan_used_ratio",
    help: "How much of a window of the plan is used, 1 for all of it, as Claude Code last reported it",
    labelNames: ["window"],
    registers,
    collect() {
      this.reset();
      for (const { name, usedPercent } of limits.windows()) {
        if (usedPercent !== null) this.set({ window: label(name) }, usedPercent / 100);
      }
    },
  });
  new Gauge({
    name: "synthesis_plan_reset_timestamp_seconds",
    help: "When a window of the plan ends, in Unix time",
    labelNames: ["window"],
    registers,
    collect() {
      this.reset();
      for (const { name, resetsAt } of limits.windows()) {
        if (resetsAt !== null) this.set({ window: label(name) }, resetsAt / 1_000);
      }
    },
  });
  new Gauge({
    name: "synthesis_usage_limit_reached",
    help: "1 for a window of the plan for which Anthropic rejects messages now; absent for others",
    labelNames: ["window"],
    registers,
    collect() {
      this.reset();
      for (const { window } of rejections.current()) this.set({ window: label(window) }, 1);
    },
  });
  new Gauge({
    name: "synthesis_permission_prompts_waiting",
    help: "Permission prompts that wait for a verdict",
    registers,
    collect() {
      this.set(permissions.pending.length);
    },
  });
  const prompts = new Counter({
    name: "synthesis_permission_prompts_total",
    help: "Permission prompts for which someone was asked",
    registers,
  });
  permissions.onPrompt(() => prompts.inc());
}
