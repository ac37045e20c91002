/** What was used, by day, agent or model, as charts and as tables. */
import { useSignal } from "@preact/signals";
import type { UsageGroupBody, UsageReport } from "../wire/usage.ts";
import { Chart } from "./chart.tsx";
import { useFetched } from "./fetched.ts";
import { cost, count, date, duration, percent, tokens, windowName } from "./format.ts";
import { latest, overview } from "./live.ts";
import { Empty, Meter, Problem, Scroll } from "./parts.tsx";

const BY = ["day", "agent", "model"] as const;
const LABELS = { day: "Day", agent: "Agent", model: "Model" };
const DAYS = [7, 30, 90];
const DAY_MS = 24 * 60 * 60_000;

export function Usage() {
  const by = useSignal<(typeof BY)[number]>("day");
  const days = useSignal(30);
  const plan = overview.value?.plan ?? [];
  // An account with an API key has no plan, and the figures of a turn come after its end.
  const used = latest.value.reduce((sum, { tokens_today, turns }) => sum + tokens_today + turns, 0);
  const revision = `${used} ${plan.map(({ seen_at }) => seen_at)}`;
  const { value, problem } = useFetched<UsageReport>(`/v1/usage?by=${by.value}&days=${days.value}`, revision);
  const report = value.value;
  return (
    <>
      <div class="filters">
        <label>
          By
          <select
            value={by.value}
            onChange={({ currentTarget }) => {
              by.value = currentTarget.value as (typeof BY)[number];
            }}
          >
            {BY.map((one) => (
              <option key={one} value={one}>
                {LABELS[one]}
              </option>
            ))}
          </select>
        </label>
        <label>
          Last
          <select
            value={days.value}
            onChange={({ currentTarget }) => {
              days.value = Number(currentTarget.value);
            }}
          >
            {DAYS.map((one) => (
              <option key={one} value={one}>
                {one} days
              </option>
            ))}
          </select>
        </label>
      </div>
      <Problem message={problem.value} />
      {report && <Report report={report} />}
    </>
  );
}

const Report = ({ report }: { readonly report: UsageReport }) => (
  <>
    {report.by === "day" && <DayChart report={report} />}
    <section aria-labelledby="figures">
      <h2 id="figures">Figures by {report.by}</h2>
      {report.data.length === 0 ? <Empty>Nothing was used in this time.</Empty> : <Figures report={report} />}
    </section>
    <FirstText report={report} />
    <Limits report={report} />
  </>
);

const inputOf = (one: Omit<UsageGroupBody, "name" | "starts_at" | "context_used_percent">): number =>
  one.input_tokens + one.cache_read_input_tokens + one.cache_creation_input_tokens;

/** The part of the input that came from the prompt cache; null without input. */
const hitOf = (one: Parameters<typeof inputOf>[0]): number | null =>
  inputOf(one) === 0 ? null : (100 * one.cache_read_input_tokens) / inputOf(one);

const turnsOf = ({ turns }: Pick<UsageGroupBody, "turns">): number =>
  turns.done + turns.failed + turns.interrupted + turns.lost;

const DayChart = ({ report: { data, since } }: { readonly report: UsageReport }) => {
  const byStart = new Map(data.map((one) => [one.starts_at ?? 0, one]));
  const starts = [...byStart.keys()].sort((one, other) => one - other);
  // Days without a turn are zero, not a gap.
  const all = daysBetween(starts[0] ?? since, starts.at(-1) ?? since, byStart);
  return (
    <section aria-labelledby="days">
      <h2 id="days">Tokens by day</h2>
      <Chart
        label="Tokens by day. The table below has the same figures."
        at={all}
        kind="bars"
        format={tokens}
        series={[
          { name: "Input", values: all.map((start) => orZero(byStart.get(start), inputOf)) },
          { name: "Output", values: all.map((start) => orZero(byStart.get(start), (one) => one.output_tokens)) },
        ]}
      />
    </section>
  );
};

const orZero = (one: UsageGroupBody | undefined, figure: (one: UsageGroupBody) => number): number =>
  one ? figure(one) : 0;

/** The beginnings of all days from the first to the last. Those that have figures begin exactly when the server says. */
function daysBetween(first: number, last: number, known: ReadonlyMap<number, unknown>): readonly number[] {
  const days = [first];
  while ((days.at(-1) ?? last) < last && days.length < 400) {
    const next = (days.at(-1) ?? last) + DAY_MS;
    // A day of 23 or 25 hours, where the clocks change.
    const exact = [...known.keys()].find((start) => Math.abs(start - next) <= DAY_MS / 12);
    days.push(exact ?? next);
  }
  return days;
}

function Figures({ report: { data, total, by } }: { readonly report: UsageReport }) {
  const rows = by === "day" ? data.toSorted((one, other) => (other.starts_at ?? 0) - (one.starts_at ?? 0)) : data;
  const cells = (one: Omit<UsageGroupBody, "name" | "starts_at" | "context_used_percent">) => (
    <>
      <td>{count(turnsOf(one))}</td>
      <td>{tokens(inputOf(one))}</td>
      <td>{tokens(one.output_tokens)}</td>
      <td>{percent(hitOf(one))}</td>
      <td>{cost(one.cost_usd)}</td>
      <td>{one.first_text ? duration(one.first_text.median_ms) : "unknown"}</td>
      <td>{one.first_text ? duration(one.first_text.p95_ms) : "unknown"}</td>
    </>
  );
  return (
    <Scroll of="scroll" label="Figures">
      <table>
        <thead>
          <tr>
            <th scope="col">{LABELS[by as keyof typeof LABELS]}</th>
            <th scope="col">Turns</th>
            <th scope="col">Tokens in</th>
            <th scope="col">Tokens out</th>
            <th scope="col">Cache hit</th>
            <th scope="col">Cost</th>
            <th scope="col">First text, median</th>
            <th scope="col">95 %</th>
          </tr>
        </thead>
        <tbody>
          {rows.map((one) => (
            <tr key={one.name}>
              <th scope="row">{one.starts_at === null ? (one.name ?? "none") : date(one.starts_at)}</th>
              {cells(one)}
            </tr>
          ))}
        </tbody>
        <tfoot>
          <tr>
            <th scope="row">Total</th>
            {cells(total)}
          </tr>
        </tfoot>
      </table>
    </Scroll>
  );
}

const ORIGINS: Readonly<Record<string, string>> = {
  warm: "process that ran already",
  spare: "spare",
  cold: "new process",
  resumed: "resumed session",
};

const FirstText = ({ report: { first_text_by_origin: origins = [] } }: { readonly report: UsageReport }) =>
  origins.length === 0 ? null : (
    <section aria-labelledby="first-text">
      <h2 id="first-text">Time to first text, by where the process came from</h2>
      <Scroll of="scroll" label="Time to first text">
        <table>
          <thead>
            <tr>
              <th scope="col">Process</th>
              <th scope="col">Turns</th>
              <th scope="col">Median</th>
              <th scope="col">95 %</th>
            </tr>
          </thead>
          <tbody>
            {origins.map(({ origin, turns, median_ms, p95_ms }) => (
              <tr key={origin}>
                <th scope="row">{ORIGINS[origin] ?? origin}</th>
                <td>{count(turns)}</td>
                <td>{duration(median_ms)}</td>
                <td>{duration(p95_ms)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </Scroll>
    </section>
  );

function Limits({ report: { limits, limits_history: history = [] } }: { readonly report: UsageReport }) {
  return (
    <section aria-labelledby="limits">
      <h2 id="limits">Plan limits</h2>
      {limits.length === 0 && <Empty>Claude Code has reported no limits. With an API key there are none.</Empty>}
      {limits.map(({ name, used_percent }) => (
        <Meter key={name} label={windowName(name)} used={used_percent} />
      ))}
      {history
        .filter(({ points }) => points.length > 1)
        .map(({ name, points }) => (
          <div key={name}>
            <h3>{windowName(name)} over time</h3>
            <Chart
              label={`${windowName(name)} over time, in percent`}
              at={points.map(({ at }) => at)}
              kind="line"
              format={percent}
              series={[{ name: "Used", values: points.map(({ used_percent }) => used_percent) }]}
            />
            <details>
              <summary>As a table</summary>
              <table>
                <tbody>
                  {points.toReversed().map(({ at, used_percent }) => (
                    <tr key={at}>
                      <th scope="row">{new Date(at).toLocaleString("en-GB")}</th>
                      <td>{percent(used_percent)}</td>
                    </tr>
                  ))}
                </tbody>
              </table>
            </details>
          </div>
        ))}
    </section>
  );
}
