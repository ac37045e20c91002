/** The metrics without a server: what they are made of does nothing until the test says so. */
import type { ConversationRegistry, EndedTurn } from "../../src/conversation/registry.ts";
import { MessageCounts } from "../../src/core/message-counts.ts";
import type { MeasuredNode } from "../../src/metrics/fleet.ts";
import { createMetrics, type Metrics } from "../../src/metrics/metrics.ts";

/** @param node makes them those of a node */
export function quietMetrics(node?: MeasuredNode): Metrics & { readonly endTurn: (turn: EndedTurn) => void } {
  let endTurn: (turn: EndedTurn) => void = () => {};
  const conversations: Pick<ConversationRegistry, "load" | "onTurnEnd"> = {
    load: { running: 0, parked: 0, waiting: 0 },
    onTurnEnd: (listener) => {
      endTurn = listener;
    },
  };
  const metrics = createMetrics({
    config: { maxProcesses: 8, memoryMb: 1_000, processMemoryMb: 500 },
    conversations,
    oneShots: { load: { running: 0, waiting: 0 }, onEnd: () => {} },
    turns: { onCounted: () => {} },
    pool: { processes: [], onStart: () => {} },
    login: { state: "unknown" },
    limits: { windows: () => [] },
    rejections: { current: () => [] },
    permissions: { pending: [], onPrompt: () => {} },
    messages: new MessageCounts(),
    node,
  });
  return { ...metrics, endTurn };
}
