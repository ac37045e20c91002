/** The turns of a conversation, the newest first, each with its steps. */
import type { SessionTurn } from "../wire/sessions.ts";
import { now } from "./clock.ts";
import { clockTime, cost, dateTime, duration, tokens } from "./format.ts";
import { Empty } from "./parts.tsx";

interface TimelineProps {
  /** The latest ones, oldest first. */
  readonly turns: readonly SessionTurn[];
  /** How many turns there are in all. */
  readonly total: number;
}

export const Timeline = ({ turns, total }: TimelineProps) => (
  <>
    {turns.length === 0 && <Empty>It has no turns yet.</Empty>}
    <ol class="timeline">
      {turns.toReversed().map((turn) => (
        <li key={turn.id} class="card">
          <Turn turn={turn} />
        </li>
      ))}
    </ol>
    {total > turns.length && <p class="note">These are the latest {turns.length}.</p>}
  </>
);

const OUTCOMES: Readonly<Record<SessionTurn["state"], string>> = {
  sent: "sent",
  running: "running",
  done: "done",
  failed: "failed",
  interrupted: "interrupted",
  lost: "lost",
};

interface Step {
  readonly name: string;
  readonly at: number;
}

/** What has happened in a turn so far, in order. */
function stepsOf({ queued_at, sent_at, received_at, first_text_at, ended_at }: SessionTurn): readonly Step[] {
  const steps = [
    { name: "queued", at: queued_at },
    { name: "sent", at: sent_at },
    { name: "received", at: received_at },
    { name: "first text", at: first_text_at },
    { name: "end", at: ended_at },
  ];
  return steps.filter((step): step is Step => typeof step.at === "number");
}

function Turn({ turn }: { readonly turn: SessionTurn }) {
  const steps = stepsOf(turn);
  const [first] = steps;
  const from = first?.at ?? turn.sent_at;
  const isOver = turn.ended_at !== null;
  const until = turn.ended_at ?? Math.max(now.value, from);
  const tools = turn.tools ?? [];
  const isKnown = turn.tokens_in !== null || turn.tokens_out !== null;
  return (
    <>
      <h3>
        <time dateTime={new Date(from).toISOString()} title={dateTime(from)}>
          {clockTime(from)}
        </time>
        <span class={`badge ${turn.state}`}>{OUTCOMES[turn.state]}</span>
        {turn.error_code !== null && <code>{turn.error_code}</code>}
        <span class="note">{isOver ? duration(until - from) : "so far"}</span>
      </h3>
      <div class="bar" aria-hidden="true">
        {steps.map(({ name, at }, index) => {
          const end = steps[index + 1]?.at ?? until;
          return end > at && <span key={name} class={name.replace(" ", "-")} style={{ flexGrow: end - at }} />;
        })}
      </div>
      <ol class="steps">
        {steps.map(({ name, at }, index) => (
          <li key={name} class={name.replace(" ", "-")}>
            {name} <span class="note">{index === 0 ? "" : `+${duration(at - from)}`}</span>
          </li>
        ))}
      </ol>
      {tools.length > 0 && (
        <ul class="tools">
          {tools.map(({ name, started_at, ended_at }, index) => (
            // Tools are only ever added at the end.
            <li key={index}>
              <code>{name}</code>{" "}
              <span class="note">{ended_at === null ? "running" : duration(ended_at - started_at)}</span>
            </li>
          ))}
        </ul>
      )}
      <p class="note">
        {[
          turn.model ?? null,
          turn.process_origin ? `${turn.process_origin} process` : null,
          isKnown ? `${tokens(turn.tokens_in)} tokens in, ${tokens(turn.tokens_out)} out` : null,
          turn.cost_usd == null ? null : cost(turn.cost_usd),
        ]
          .filter((part) => part !== null)
          .join(" · ")}
      </p>
    </>
  );
}
