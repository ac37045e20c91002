/** What the page shows of the server, from memory and from the database. Nothing here asks Claude Code. */
import { version } from "../../package.json";
import { NO_OWNER } from "../claude/agent-process.ts";
import type { Engines } from "../claude/engines.ts";
import type { Login } from "../claude/login.ts";
import type { Pool } from "../claude/pool/pool.ts";
import type { Config } from "../config/schema.ts";
import type { ConversationRegistry } from "../conversation/registry.ts";
import { MEGABYTE } from "../core/machine.ts";
import type { AccountLimits } from "../limits/account.ts";
import { limitsBody } from "../limits/plan-limits.ts";
import type { Rejections } from "../limits/rejections.ts";
import type { PermissionBroker } from "../permissions/broker.ts";
import type { SessionRow } from "../store/schema.ts";
import type { SessionStore } from "../store/sessions.ts";
import type { TurnStore } from "../store/turns.ts";
import { startOfDay, type UsageSums } from "../store/usage.ts";
import type { LiveConversation, LiveOverview } from "../wire/live.ts";
import type { PageRole } from "../wire/page.ts";
import { currentWarnings } from "./warnings.ts";

/** The page shows this many conversations. */
const SHOWN = 500;

export interface SnapshotDeps {
  readonly config: Pick<Config, "maxProcesses" | "memoryMb">;
  readonly pool: Pick<Pool, "processes">;
  readonly login: Pick<Login, "state">;
  readonly limits: Pick<AccountLimits, "windows">;
  readonly rejections: Rejections;
  readonly engines: Pick<Engines, "configured">;
  readonly conversations: Pick<ConversationRegistry, "find" | "load">;
  readonly permissions: Pick<PermissionBroker, "pending">;
  readonly sessions: Pick<SessionStore, "latest">;
  readonly turns: Pick<TurnStore, "changes">;
  readonly usage: Pick<UsageSums, "query">;
  /** Absent for a server that is no node of a fleet. */
  readonly fleet?:
    | { readonly nodes: readonly ShownNode[]; readonly otherConversations: readonly OtherConversation[] }
    | undefined;
}

/** A conversation that this node of a fleet does not have. */
interface OtherConversation {
  readonly row: SessionRow;
  readonly state: LiveConversation["state"];
}

interface ShownNode {
  readonly name: string;
  readonly isDraining: boolean;
  readonly places: number;
  readonly used: number;
  readonly waiting: number;
  readonly version: string;
}

export class Snapshot {
  readonly #deps: SnapshotDeps;
  readonly #startedAt = Date.now();
  #rows: readonly Omit<LiveConversation, "state" | "waiting">[] = [];
  /** What the rows were read at. */
  #readAt = "";

  constructor(deps: SnapshotDeps) {
    this.#deps = deps;
  }

  overview(role: PageRole): LiveOverview {
    const { config, pool, login, limits, engines, conversations, fleet } = this.#deps;
    const { processes } = pool;
    const measured = processes.flatMap(({ memory }) => memory ?? []);
    const usedBytes = measured.length === 0 ? null : measured.reduce((sum, bytes) => sum + bytes);
    return {
      version,
      role,
      started_at: this.#startedAt,
      processes: {
        running: processes.length,
        limit: config.maxProcesses,
        starting: processes.filter(({ state }) => state === "starting").length,
        spare: processes.filter(({ owner }) => owner === NO_OWNER).length,
      },
      memory: { used_mb: usedBytes === null ? null : Math.round(usedBytes / MEGABYTE), budget_mb: config.memoryMb },
      waiting: conversations.load.waiting,
      login: login.state,
      plan: limitsBody(limits),
      engines: engines.configured().map(({ agent, engine, why }) => ({ agent, engine, reason: why })),
      nodes: (fleet?.nodes ?? [])
        .map(({ name, isDraining: draining, used: running, places: limit, waiting, version }) => {
          return { name, draining, running, limit, waiting, version };
        })
        .toSorted((one, other) => one.name.localeCompare(other.name)),
      warnings: currentWarnings(this.#deps),
    };
  }

  /** The latest conversation first. */
  conversations(): LiveConversation[] {
    const asking = new Set(this.#deps.permissions.pending.map(({ session }) => session));
    const here = this.#stored().map((row): LiveConversation => {
      const conversation = this.#deps.conversations.find(row.key);
      const state = conversation?.state ?? "cold";
      return {
        ...row,
        state: asking.has(row.key) ? "needs_you" : state === "busy" || state === "starting" ? "running" : state,
        waiting: conversation?.waiting ?? 0,
      };
    });
    const { fleet } = this.#deps;
    return fleet ? withOthers(here, fleet.otherConversations) : here;
  }

  /** What the database says of them, read again only when it has changed, or a new day has begun. */
  #stored(): readonly Omit<LiveConversation, "state" | "waiting">[] {
    const { sessions, turns, usage } = this.#deps;
    const today = startOfDay(Date.now());
    const now = `${today} ${turns.changes}`;
    if (now === this.#readAt) return this.#rows;
    const used = new Map(
      usage
        .query("conversation", today)
        .map(({ key, input, cacheRead, cacheWrite, output }) => [`${key}`, input + cacheRead + cacheWrite + output]),
    );
    this.#rows = sessions.latest(SHOWN).map((row) => ({ ...rowBody(row), tokens_today: used.get(row.key) ?? 0 }));
    this.#readAt = now;
    return this.#rows;
  }
}

const rowBody = (row: SessionRow) => ({
  key: row.key,
  source: row.source,
  agent: row.agent,
  chat: row.chat,
  model: row.model,
  workspace: row.workspace,
  turns: row.turns,
  last_active_at: row.lastActiveAt,
});

/** Adds those of other nodes. What they have used, and what waits there, only those nodes know. */
function withOthers(here: readonly LiveConversation[], others: readonly OtherConversation[]): LiveConversation[] {
  const keys = new Set(here.map(({ key }) => key));
  const more = others
    .filter(({ row }) => !keys.has(row.key))
    .map(({ row, state }) => ({ ...rowBody(row), state, waiting: 0, tokens_today: 0 }));
  const all = [...here, ...more].toSorted((one, other) => other.last_active_at - one.last_active_at);
  return all.slice(0, SHOWN);
}
