/** Connects the real OpenClaw gateway, a recorder, synthesis, the real claude and the mock API. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { createOpenClaw, type OpenClaw, provider } from "../support/openclaw-gateway.ts";
import { type Recorder, startRecorder } from "../support/recorder.ts";
import { startServer, type TestServer } from "../support/server.ts";
import { createWorld, type World, type WorldOptions } from "../support/world.ts";

export interface Rig extends AsyncDisposable, Pick<World, "mock" | "claude"> {
  readonly openclaw: OpenClaw;
  readonly recorder: Recorder;
  /** The workspaces of OpenClaw's agents main and ops. */
  readonly main: string;
  readonly ops: string;
  /** The address of synthesis. */
  url(): string;
  /** Ends synthesis, by default with SIGTERM, and starts it again on the same state folder, with more variables. */
  restartSynthesis(signal?: NodeJS.Signals, env?: Record<string, string>): Promise<void>;
}

/** Our plugin as `synthesis setup openclaw` configures it, and as a user then allows it to read who sends a message. */
const WITH_PLUGIN = {
  plugins: {
    load: { paths: [join(import.meta.dir, "../../src/setup/openclaw-plugin")] },
    entries: { synthesis: { enabled: true, hooks: { allowConversationAccess: true } } },
  },
};

/** Another provider in OpenClaw's configuration. */
const otherProvider = (url: string) => ({
  baseUrl: `${url}/v1`,
  apiKey: "sk-other-000000000000",
  models: [{ id: "large", name: "Large", contextWindow: 200_000, maxTokens: 8_000, input: ["text"] }],
});

/**
 * @param name the scenario, for the folder of the recorder
 * @param config more of OpenClaw's configuration
 * @param compaction OpenClaw's settings for compaction
 * @param fallback the address of another model, from which OpenClaw answers when claude cannot. Claude then has a login of
 *   claude.ai, as only its plans have limits
 */
export async function createRig(
  name: string,
  options: { plugin: boolean; config?: Record<string, object>; compaction?: object; fallback?: string },
): Promise<Rig> {
  const { plugin, config, compaction, fallback } = options;
  let folders = { state: "", main: "", ops: "" };
  const env: Record<string, string> = {};
  const worldOptions: WorldOptions = {
    env,
    plan: fallback !== undefined,
    prepare: ({ base, workspace }) => {
      folders = { state: join(base, "state"), main: workspace, ops: join(base, "ops") };
      mkdirSync(folders.ops);
      env.SYNTHESIS_ALLOWED_ROOTS = `${folders.main}:${folders.ops}`;
    },
  };
  await using undo = new AsyncDisposableStack();
  const world = undo.use(await createWorld(worldOptions));
  const recorder = startRecorder(world.server.url);
  undo.defer(() => recorder.stop());
  recorder.scenario(name);
  const openclaw = undo.use(
    await createOpenClaw({
      models: {
        providers: {
          synthesis: provider(recorder.url, world.server.key),
          ...(fallback ? { other: otherProvider(fallback) } : {}),
        },
      },
      agents: {
        ownership: "explicit",
        defaults: {
          model: { primary: "synthesis/synthesis-claude-bridge", ...(fallback ? { fallbacks: ["other/large"] } : {}) },
          systemAgent: { agentId: "main" },
          ...(compaction ? { compaction } : {}),
        },
        entries: { main: { workspace: folders.main }, ops: { workspace: folders.ops } },
      },
      ...(plugin ? WITH_PLUGIN : {}),
      ...config,
    }),
  );
  await openclaw.startGateway();

  let second: TestServer | null = null;
  undo.defer(async () => void (await second?.stop()));
  const all = undo.move();
  return {
    mock: world.mock,
    claude: world.claude,
    openclaw,
    recorder,
    main: folders.main,
    ops: folders.ops,
    url: () => (second ?? world.server).url,
    restartSynthesis: async (signal, more = {}) => {
      await (second ?? world.server).stop(signal);
      second = await startServer({ ...world.serverEnv, SYNTHESIS_API_KEY: world.server.key, ...more });
      recorder.pointAt(second.url);
    },
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}
