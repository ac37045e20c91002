/** One conversation: what it is, what it has used, its permission questions and its turns. */
import { useSignal } from "@preact/signals";
import type { PermissionList, PermissionRecord } from "../wire/permissions.ts";
import type { SessionDetails } from "../wire/sessions.ts";
import { messageOf, post, send, sessionPath } from "./access.ts";
import { Confirm } from "./confirm.tsx";
import { useFetched } from "./fetched.ts";
import { clockTime, cost, count, dateTime, percent, tokens } from "./format.ts";
import { changes, conversations, permissions } from "./live.ts";
import { Ago, Empty, Figure, LookOnly, mayDecide, Problem, Scroll, StateBadge } from "./parts.tsx";
import { PermissionCard } from "./permission-card.tsx";
import { screenHref } from "./route.ts";
import { Timeline } from "./timeline.tsx";

export function Conversation({ id }: { readonly id: string }) {
  const live = conversations.value.get(id);
  const waiting = permissions.value.filter(({ session }) => session === id);
  const revision = `${changes.value.get(id)} ${live?.state} ${live?.turns} ${live?.waiting} ${waiting.length}`;
  const { value, problem } = useFetched<SessionDetails>(sessionPath(id), revision);
  const details = value.value;
  if (!details) {
    return problem.value === null ? <Empty>Loading…</Empty> : <Problem message={problem.value} />;
  }
  const state = live?.state ?? (details.state === "busy" || details.state === "starting" ? "running" : details.state);
  return (
    <>
      <p class="facts">
        <StateBadge state={state} />
        <span>{[details.agent, details.model ?? "default model", details.effort].filter(Boolean).join(" · ")}</span>
        <span>
          Last message <Ago at={details.last_active_at} />
        </span>
      </p>
      <p class="note">
        <code>{details.key}</code> in <code>{details.workspace}</code>
      </p>
      <Problem message={problem.value} />
      <Actions id={id} isRunning={state === "running" || state === "needs_you"} isCold={state === "cold"} />
      {waiting.map((prompt) => (
        <PermissionCard key={prompt.id} prompt={prompt} />
      ))}
      <Figures details={details} />
      <section aria-labelledby="turns">
        <h2 id="turns">Turns</h2>
        <Timeline turns={details.last_turns} total={details.turns} />
      </section>
      <Verdicts id={id} revision={waiting.length} />
      {details.past_sessions.length > 0 && (
        <section aria-labelledby="past">
          <h2 id="past">Before a reset</h2>
          <ul>
            {details.past_sessions.map(({ claude_session, created_at, ended_at }) => (
              <li key={claude_session}>
                <code>{claude_session}</code>{" "}
                <span class="note">
                  {dateTime(created_at)} to {dateTime(ended_at)}
                </span>
              </li>
            ))}
          </ul>
        </section>
      )}
    </>
  );
}

function Actions({ id, isRunning, isCold }: { id: string; isRunning: boolean; isCold: boolean }) {
  const problem = useSignal<string | null>(null);
  const withTranscript = useSignal(false);
  const interrupt = async () => {
    problem.value = null;
    try {
      await post(`${sessionPath(id)}/interrupt`);
    } catch (error) {
      problem.value = messageOf(error);
    }
  };
  const remove = async () => {
    await send(`${sessionPath(id)}?transcript=${withTranscript.value ? 1 : 0}`, { method: "DELETE" });
    location.hash = "#/conversations";
  };
  const isOff = !mayDecide();
  return (
    <>
      <div class="actions">
        {!isCold && (
          <a class="button" href={screenHref(id)}>
            Live screen
          </a>
        )}
        <button type="button" disabled={isOff || !isRunning} onClick={interrupt}>
          Interrupt
        </button>
        <Confirm
          label="Reset…"
          title="Reset this conversation?"
          action="Reset the conversation"
          disabled={isOff}
          onConfirm={() => post(`${sessionPath(id)}/reset`)}
        >
          <p>Claude forgets it, and begins anew with the next message. A turn that runs is stopped.</p>
        </Confirm>
        <Confirm
          label="Delete…"
          title="Delete this conversation?"
          action="Delete the conversation"
          disabled={isOff}
          onConfirm={remove}
        >
          <p>The server forgets it: its turns, its permissions and its files. This cannot be undone.</p>
          <label class="choice">
            <input
              type="checkbox"
              checked={withTranscript.value}
              onChange={({ currentTarget }) => {
                withTranscript.value = currentTarget.checked;
              }}
            />
            <span>Also delete Claude Code's transcript</span>
          </label>
        </Confirm>
      </div>
      <LookOnly />
      <Problem message={problem.value} />
    </>
  );
}

const Figures = ({ details }: { readonly details: SessionDetails }) => (
  <section aria-labelledby="used">
    <h2 id="used">Used</h2>
    <dl class="figures">
      <Figure name="Tokens in">{tokens(details.tokens_in)}</Figure>
      <Figure name="Tokens out">{tokens(details.tokens_out)}</Figure>
      <Figure name="From the cache">{tokens(details.tokens_cached)}</Figure>
      <Figure name="Cost">{cost(details.figures.cost_usd)}</Figure>
      <Figure name="Context">{percent(details.figures.context_used_percent)}</Figure>
      <Figure name="Turns">{count(details.turns)}</Figure>
    </dl>
  </section>
);

/** The permission questions that were asked in this conversation. */
function Verdicts({ id, revision }: { readonly id: string; readonly revision: number }) {
  const { value } = useFetched<PermissionList>("/v1/permissions", revision);
  const asked = value.value?.latest.filter(({ session, verdict }) => session === id && verdict !== null) ?? [];
  if (asked.length === 0) return null;
  return (
    <section aria-labelledby="verdicts">
      <h2 id="verdicts">Permissions</h2>
      <Scroll of="scroll" label="Permissions">
        <table>
          <thead>
            <tr>
              <th scope="col">Asked</th>
              <th scope="col">Tool</th>
              <th scope="col">Verdict</th>
              <th scope="col">By</th>
            </tr>
          </thead>
          <tbody>
            {asked.map((record) => (
              <tr key={record.asked_at}>
                <td>{clockTime(record.asked_at)}</td>
                <td>{record.tool}</td>
                <td>{verdictText(record)}</td>
                <td>{[record.decided_by, record.way].filter(Boolean).join(", ")}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </Scroll>
    </section>
  );
}

const verdictText = ({ verdict, rule }: PermissionRecord): string =>
  verdict === "deny" ? "denied" : rule === null ? "allowed once" : `allowed with ${rule}`;
