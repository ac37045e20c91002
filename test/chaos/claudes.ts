/** The claudes of a schedule: stand-ins, which can be made to do anything, or the real claude with a scripted model. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { TESTED_VERSIONS } from "../../src/claude/tested-versions.ts";
import { type ClaudeHome, createClaudeHome } from "../support/claude-home.ts";
import { apiError, startMockAnthropic, text } from "../support/mock-anthropic.ts";
import { REAL_CLAUDE } from "../support/server.ts";
import { answerOf, FAILURE, MESSAGE_IDS, type Orders } from "./orders.ts";
import type { OrdersServer } from "./orders-server.ts";
import type { Schedule } from "./schedule.ts";

const support = join(import.meta.dir, "../support");

export interface Claudes {
  readonly home: ClaudeHome;
  /** How many times faster than real time the server's clock runs. */
  readonly speed: number;
  /** Settings and variables of the server. */
  readonly env: Record<string, string>;
  /** The error code that a client gets when the model fails. */
  readonly failure: string;
  /** A message is in the transcript before its receipt is posted. The real claude writes it a while later. */
  readonly recordsAtOnce: boolean;
  /** How long anything may take, in ms of real time. It is generous, since a busy machine is slow. */
  readonly patience: number;
  stop(): Promise<void>;
}

/** Stand-ins for claude that answer in the reply mode of a schedule. */
export function standIns(server: OrdersServer, { engine, mode }: Pick<Schedule, "engine" | "mode">): Claudes {
  const home = createClaudeHome({ api: "http://127.0.0.1:9" });
  return {
    home,
    speed: 10,
    env: {
      SYNTHESIS_CLAUDE_BIN: standInProgram(home),
      SYNTHESIS_READY_TIMEOUT_MS: "200000",
      SYNTHESIS_RECEIPT_TIMEOUT_MS: engine === "stream" ? "100000" : "40000",
      SYNTHESIS_PROGRESS_TIMEOUT_MS: "60000",
      SYNTHESIS_BRIDGE_PING_MS: "3000",
      SYNTHESIS_DRAIN_MS: "100000",
      // A response starts with the first heartbeat at the latest, which shows that a queued message was accepted.
      SYNTHESIS_SSE_HEARTBEAT_MS: "500",
      STAND_IN_ORDERS: server.url,
      STAND_IN_REPLY: mode === "tool" ? "frames" : "hooks",
    },
    failure: FAILURE,
    recordsAtOnce: true,
    patience: 60_000,
    stop: async () => home.remove(),
  };
}

/** The stand-in as a program. The shell answers what the server asks at its start, without starting Bun. */
function standInProgram({ base }: ClaudeHome): string {
  const path = join(base, "claude");
  const run = `exec '${process.execPath}' --preload '${support}/clock.ts' '${support}/stand-in-claude.ts' "$@"`;
  const answers = `*' --version '*) echo '${TESTED_VERSIONS.newest} (Claude Code)';; *' auth status '*) echo '{"loggedIn":true}';;`;
  const script = `#!/bin/sh\ncase " $* " in ${answers} *) ${run};; esac\n`;
  writeFileSync(path, script, { mode: 0o755 });
  return path;
}

/** The real claude, whose model answers with the messages that it was shown, as a stand-in does. */
export function realClaudes(server: OrdersServer): Claudes {
  const mock = startMockAnthropic();
  const home = createClaudeHome({ api: mock.url });
  mock.on(/<channel /, async function* ({ asked, shown, closed }) {
    const message = asked.match(MESSAGE_IDS)?.at(-1) ?? "";
    const orders: Orders = server.of(message);
    const isHeld = async (point: Orders["hold"]) =>
      orders.hold === point && (await server.hold(message, null)) === "escape";
    if (await isHeld("received")) await closed;
    if (orders.end === "hangs") await closed;
    const [pieces = []] = answerOf(shown.match(MESSAGE_IDS) ?? [], orders, "live");
    if (orders.end === "fails") return void (yield apiError(429, "rate_limit_error", "slow", { "retry-after": "0" }));
    for (const piece of pieces) yield text(piece);
    if (await isHeld("spoken")) await closed;
  });
  return {
    home,
    speed: 1,
    env: {
      SYNTHESIS_CLAUDE_BIN: REAL_CLAUDE,
      SYNTHESIS_READY_TIMEOUT_MS: "60000",
      SYNTHESIS_RECEIPT_TIMEOUT_MS: "30000",
      SYNTHESIS_PROGRESS_TIMEOUT_MS: "20000",
      // While its model hangs, Claude keeps drawing on its screen, which counts as progress.
      SYNTHESIS_TURN_TIMEOUT_MS: "45000",
      SYNTHESIS_SSE_HEARTBEAT_MS: "200",
      SYNTHESIS_DRAIN_MS: "40000",
    },
    failure: "rate_limited",
    recordsAtOnce: false,
    patience: 90_000,
    stop: async () => {
      await mock.stop();
      home.remove();
    },
  };
}
