/** A fleet in a test: nodes that share a Postgres, a workspace and keys, each with a home of its own. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { pathsFor } from "../../src/config/paths.ts";
import { createIdentity, writeIdentity } from "../../src/fleet/certificate.ts";
import { addMember, keysDigest } from "../../src/fleet/members.ts";
import { connect } from "../../src/store/postgres/connect.ts";
import { migrateFleet } from "../../src/store/postgres/migrate.ts";
import { type ClaudeHome, createClaudeHome } from "../support/claude-home.ts";
import { freePort } from "../support/daemon.ts";
import { type MockAnthropic, startMockAnthropic } from "../support/mock-anthropic.ts";
import { startPostgres, type TestPostgres } from "../support/postgres.ts";
import { REAL_CLAUDE, startServer, type TestServer } from "../support/server.ts";
import { standInClaude } from "../support/world.ts";

/** The keys of every node. */
const CHAT_KEY = "chat-key-of-the-test-fleet";
const CONTROL_KEY = "control-key-of-the-test-fleet-0123456789";

export interface TestNode {
  readonly name: string;
  readonly home: ClaudeHome;
  readonly env: Record<string, string>;
  /** Where a balancer reaches it, on 127.0.0.1; it stays the same after a restart. */
  readonly port: number;
  /** The newest server of the node; it may have exited. */
  server: TestServer;
  /** Starts a server after the one before has exited. */
  restart(): Promise<void>;
}

export interface FleetWorld extends AsyncDisposable {
  readonly postgres: TestPostgres;
  readonly mock: MockAnthropic;
  readonly nodes: readonly TestNode[];
  /** Sends a request with the control key. */
  control(node: TestNode, path: string, init?: RequestInit): Promise<Response>;
}

export interface FleetOptions {
  readonly nodes?: number;
  readonly engine?: "stream" | "interactive";
  readonly standIn?: boolean;
  readonly leaseMs?: number;
  /** The address of the database for a node, by default that of Postgres itself. */
  readonly database?: (url: string, node: number) => Promise<string> | string;
  readonly env?: Record<string, string>;
  readonly chatKey?: string;
  /** A running Postgres and the address of a database in it, instead of one of its own. */
  readonly shared?: { readonly postgres: TestPostgres; readonly url: string };
}

export async function createFleet(options: FleetOptions = {}): Promise<FleetWorld> {
  const { nodes: count = 2, engine = "stream", standIn = false, leaseMs = 6_000, env = {} } = options;
  const { chatKey = CHAT_KEY, shared: given } = options;
  const postgres = given?.postgres ?? (await startPostgres());
  const mock = startMockAnthropic();
  const shared = createClaudeHome({ api: mock.url });
  const url = given?.url ?? postgres.url();
  const database = connect(url);
  await migrateFleet(database);
  const nodes: TestNode[] = [];
  for (let at = 0; at < count; at += 1) {
    const name = `node-${String.fromCharCode(97 + at)}`;
    const home = createClaudeHome({ api: mock.url });
    const state = join(home.base, "state");
    mkdirSync(state, { mode: 0o700 });
    const paths = pathsFor(state);
    await Bun.write(paths.controlKey, CONTROL_KEY, { mode: 0o600 });
    const address = `127.0.0.1:${await freePort()}`;
    const identity = await createIdentity(name, `https://${address}`);
    writeIdentity(paths, identity);
    const keys = keysDigest(chatKey, CONTROL_KEY);
    const member = { name, url: `https://${address}`, certificate: identity.certificate, keys, joinedAt: Date.now() };
    await addMember(database, member);
    const port = await freePort();
    const nodeEnv = {
      ...home.env,
      SYNTHESIS_HOME: state,
      SYNTHESIS_WORKSPACE: shared.workspace,
      SYNTHESIS_ENGINE: engine,
      SYNTHESIS_CLAUDE_BIN: standIn ? standInClaude(home.base) : REAL_CLAUDE,
      SYNTHESIS_API_KEY: chatKey,
      SYNTHESIS_DATABASE: (await options.database?.(url, at)) ?? url,
      SYNTHESIS_NODE_NAME: name,
      SYNTHESIS_NODE_LISTEN: address,
      SYNTHESIS_LISTEN: `127.0.0.1:${port}`,
      SYNTHESIS_LEASE_MS: `${leaseMs}`,
      ...env,
    };
    nodes.push({
      name,
      home,
      env: nodeEnv,
      port,
      server: undefined as unknown as TestServer,
      async restart() {
        this.server = await startServer(nodeEnv);
      },
    });
  }
  await database.close();
  const world: FleetWorld = {
    postgres,
    mock,
    nodes,
    control: ({ server }, path, init = {}) =>
      fetch(server.url + path, { ...init, headers: { authorization: `Bearer ${CONTROL_KEY}`, ...init.headers } }),
    [Symbol.asyncDispose]: async () => {
      await Promise.all(nodes.map(({ server }) => server?.stop()));
      await mock.stop();
      if (!given) await postgres[Symbol.asyncDispose]();
      for (const { home } of nodes) home.remove();
      shared.remove();
    },
  };
  try {
    await Promise.all(nodes.map((node) => node.restart()));
    return world;
  } catch (error) {
    await world[Symbol.asyncDispose]();
    throw error;
  }
}
