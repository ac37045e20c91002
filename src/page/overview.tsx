/** What a person wants to know at a glance. */
import type { LiveOverview, LiveWarning } from "../wire/live.ts";
import { now } from "./clock.ts";
import { ConversationList } from "./conversation-list.tsx";
import { count, duration, megabytes, windowName } from "./format.ts";
import { latest, overview, permissions } from "./live.ts";
import { Nodes } from "./nodes.tsx";
import { Empty, Figure, Meter, Prose } from "./parts.tsx";

const LOGINS = { ok: "logged in", expired: "login expired", unknown: "not checked yet" } as const;
/** How many conversations are shown here. */
const SHOWN = 6;

export function Overview() {
  const seen = overview.value;
  if (!seen) return <Empty>Waiting for the server…</Empty>;
  const active = latest.value.filter(({ state }) => state === "running" || state === "needs_you");
  const shown = active.length > 0 ? active : latest.value.slice(0, SHOWN);
  return (
    <>
      <Warnings warnings={seen.warnings} />
      <section aria-labelledby="now">
        <h2 id="now">Now</h2>
        <dl class="figures">
          <Figure name="Needs you">
            <a href="#/needs-you">{count(permissions.value.length)}</a>
          </Figure>
          <Figure name="Processes">
            {count(seen.processes.running)} <small>of {count(seen.processes.limit)}</small>
          </Figure>
          <Figure name="Messages that wait">{count(seen.waiting)}</Figure>
          <Figure name="Claude login">
            <span class={seen.login === "expired" ? "is-bad" : ""}>{LOGINS[seen.login]}</span>
          </Figure>
          <Figure name="Version">{seen.version}</Figure>
          <Figure name="Running for">{duration(Math.max(0, now.value - seen.started_at))}</Figure>
        </dl>
      </section>
      <div class="columns">
        <Plan plan={seen.plan} />
        <Machine seen={seen} />
      </div>
      <Nodes nodes={seen.nodes} />
      <section aria-labelledby="conversations">
        <h2 id="conversations">{active.length > 0 ? "Active conversations" : "Latest conversations"}</h2>
        <ConversationList conversations={shown} />
        <p>
          <a href="#/conversations">All conversations</a>
        </p>
      </section>
    </>
  );
}

const Warnings = ({ warnings }: { readonly warnings: readonly LiveWarning[] }) =>
  warnings.length === 0 ? null : (
    <section aria-labelledby="warnings">
      <h2 id="warnings">Needs attention</h2>
      <ul class="warnings">
        {warnings.map(({ id, name, found, advice }) => (
          <li key={id}>
            <strong>{name}</strong> <Prose text={found} />
            <span class="advice">
              <Prose text={advice} />
            </span>
          </li>
        ))}
      </ul>
    </section>
  );

const Plan = ({ plan }: Pick<LiveOverview, "plan">) => (
  <section aria-labelledby="plan">
    <h2 id="plan">Plan</h2>
    {plan.length === 0 ? (
      <Empty>Claude Code has reported no limits yet. With an API key there are none.</Empty>
    ) : (
      plan.map(({ name, used_percent, resets_at }) => (
        <Meter
          key={name}
          label={windowName(name)}
          used={used_percent}
          note={resets_at === null ? "reset unknown" : `resets in ${duration(Math.max(0, resets_at - now.value))}`}
        />
      ))
    )}
  </section>
);

function Machine({ seen: { memory, processes, engines } }: { readonly seen: LiveOverview }) {
  const used = memory.used_mb === null ? null : (memory.used_mb / memory.budget_mb) * 100;
  const parts = [
    processes.starting > 0 ? `${count(processes.starting)} starting` : null,
    processes.spare > 0 ? `${count(processes.spare)} spare` : null,
  ].filter((part) => part !== null);
  return (
    <section aria-labelledby="machine">
      <h2 id="machine">Machine</h2>
      <Meter
        label="Memory of Claude"
        used={used}
        note={`${megabytes(memory.used_mb)} of ${megabytes(memory.budget_mb)}`}
      />
      <Meter
        label="Processes"
        used={(processes.running / processes.limit) * 100}
        note={parts.length > 0 ? parts.join(", ") : "none is starting"}
      />
      {engines.map(({ agent, engine, reason }) => (
        <p key={agent ?? ""} class="note">
          {agent === null ? "Engine" : `Engine of ${agent}`}: {engine}, because {reason}.
        </p>
      ))}
    </section>
  );
}
