/** Turns, one-shots, their answers and what they use. */
import { Gauge, Histogram, type Registry } from "prom-client";
import type { ConversationRegistry, EndedTurn } from "../conversation/registry.ts";
import type { EndedOneShot, OneShotQueue } from "../one-shot/queue.ts";
import type { TurnStore } from "../store/turns.ts";
import type { CountedTurn } from "../store/usage.ts";
import { boundedLabel } from "./label-values.ts";
import { summedCounter } from "./summed-counter.ts";

const MAX_MODELS = 12;
const MAX_AGENTS = 20;
/** The label of a request that names no model or no agent. */
const DEFAULT = "default";

/** In seconds. A warm process needs a second, a cold start some; a turn with tools takes minutes. */
const FIRST_TEXT_BUCKETS = [0.1, 0.25, 0.5, 1, 1.5, 2, 3, 4, 6, 8, 12, 20, 30, 60, 120];
const DURATION_BUCKETS = [0.5, 1, 2, 4, 8, 15, 30, 60, 120, 300, 600, 1_200, 1_800, 3_600];

/** The figures of a model's usage that are counted as tokens, with their labels. */
const TOKEN_TYPES = [
  ["input", "input"],
  ["cacheRead", "cache_read"],
  ["cacheWrite", "cache_write"],
  ["output", "output"],
] as const;

interface TurnMetricsDeps {
  readonly conversations: Pick<ConversationRegistry, "load" | "onTurnEnd">;
  readonly oneShots: Pick<OneShotQueue, "load" | "onEnd">;
  readonly turns: Pick<TurnStore, "onCounted">;
}

export function addTurnMetrics(registry: Registry, { conversations, oneShots, turns }: TurnMetricsDeps): void {
  const registers = [registry];
  const model = boundedLabel(MAX_MODELS);
  const usedModel = boundedLabel(MAX_MODELS);
  const agent = boundedLabel(MAX_AGENTS);

  const firstText = new Histogram({
    name: "synthesis_time_to_first_text_seconds",
    help: "Time from a request to the first text of its answer, by how the request got its process",
    labelNames: ["origin", "model"],
    buckets: FIRST_TEXT_BUCKETS,
    registers,
  });
  const ended = summedCounter(registry, {
    name: "synthesis_turns_total",
    help: "Turns that have ended, one-shots included",
    labelNames: ["outcome", "agent", "model"],
  });
  const duration = new Histogram({
    name: "synthesis_turn_duration_seconds",
    help: "Time from the sending of a message until Claude is free again; the wait for a client or a person counts",
    labelNames: ["outcome"],
    buckets: DURATION_BUCKETS,
    registers,
  });
  const tokens = summedCounter(registry, {
    name: "synthesis_tokens_total",
    help: "Tokens by kind, as Claude Code reports them at the end of a model call",
    labelNames: ["type", "agent", "model"],
  });
  const cost = summedCounter(registry, {
    name: "synthesis_cost_usd_total",
    help: "Cost in US dollars, as Claude Code calculates it; without the usage whose cost it has not said",
    labelNames: ["agent", "model"],
  });

  const noteTurn = ({ response, agent: named, model: asked, outcome, ms }: EndedTurn) => {
    if (ms === null) return;
    ended([outcome, agent(named ?? DEFAULT), model(asked ?? DEFAULT)], 1);
    duration.observe({ outcome }, ms / 1_000);
    if (response.firstTextMs === null) return;
    firstText.observe({ origin: response.processOrigin, model: model(asked ?? DEFAULT) }, response.firstTextMs / 1_000);
  };
  const noteOneShot = ({ response, model: asked, outcome, ms }: EndedOneShot) => {
    ended([outcome, DEFAULT, model(asked ?? DEFAULT)], 1);
    duration.observe({ outcome }, ms / 1_000);
    if (response.firstTextMs === null) return;
    firstText.observe({ origin: "one_shot", model: model(asked ?? DEFAULT) }, response.firstTextMs / 1_000);
  };
  const noteUsage = (before: CountedTurn | null, now: CountedTurn) => {
    for (const used of now.modelUsage ?? []) {
      const earlier = before?.modelUsage?.find((one) => one.model === used.model);
      const labels = [agent(now.agent ?? DEFAULT), usedModel(used.model)];
      // A correction can lower a figure, and a counter only rises.
      for (const [figure, type] of TOKEN_TYPES) {
        const more = used[figure] - (earlier?.[figure] ?? 0);
        if (more > 0) tokens([type, ...labels], more);
      }
      const moreCost = (used.cost ?? 0) - (earlier?.cost ?? 0);
      if (moreCost > 0) cost(labels, moreCost);
    }
  };
  conversations.onTurnEnd(noteTurn);
  oneShots.onEnd(noteOneShot);
  turns.onCounted(noteUsage);

  const gauge = (name: string, help: string, read: () => number) =>
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(read());
      },
    });
  gauge(
    "synthesis_turns_running",
    "Turns that run, those that wait for their client included",
    () => conversations.load.running,
  );
  gauge(
    "synthesis_turns_parked",
    "Turns that wait for results of the client's tools or for a verdict",
    () => conversations.load.parked,
  );
  gauge(
    "synthesis_turns_waiting",
    "Requests that wait for their conversation or for a process",
    () => conversations.load.waiting,
  );
  gauge("synthesis_one_shots_running", "One-shots that are being answered", () => oneShots.load.running);
  gauge("synthesis_one_shots_waiting", "One-shots that wait", () => oneShots.load.waiting);
}
