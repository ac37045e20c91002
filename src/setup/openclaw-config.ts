/** What OpenClaw's configuration says about synthesis, and the patches that change it. */
import { existsSync } from "node:fs";
import { isDeepStrictEqual } from "node:util";
import { z } from "zod";
import { DEFAULT_MODEL } from "../claude/models.ts";
import { ConfigError } from "../config/config-error.ts";
import { type ConfigFiles, readConfigFiles } from "./openclaw-files.ts";

/** The name of our provider and of our plugin in OpenClaw. */
export const PROVIDER = "synthesis";
/** Our model's name in OpenClaw. */
export const MODEL_REF = `${PROVIDER}/${DEFAULT_MODEL}`;

const provider = z.looseObject({
  baseUrl: z.unknown().optional(),
  apiKey: z.unknown().optional(),
  timeoutSeconds: z.unknown().optional(),
  models: z.array(z.looseObject({ id: z.unknown() })).optional(),
});
const modelChoice = z.union([z.string(), z.looseObject({ primary: z.string().optional() })]);

/** The parts of the configuration that we read. */
const openClawConfig = z.looseObject({
  models: z.looseObject({ providers: z.record(z.string(), z.unknown()).optional() }).optional(),
  agents: z
    .looseObject({
      defaults: z
        .looseObject({
          model: modelChoice.optional(),
          modelPolicy: z.looseObject({ allow: z.array(z.string()).optional() }).optional(),
        })
        .optional(),
    })
    .optional(),
  plugins: z
    .looseObject({
      entries: z.record(z.string(), z.unknown()).optional(),
      load: z.looseObject({ paths: z.array(z.string()).optional() }).optional(),
    })
    .optional(),
});
export type OpenClawConfig = z.infer<typeof openClawConfig>;
export type ModelChoice = z.infer<typeof modelChoice>;

export interface OnDisk extends Pick<ConfigFiles, "files" | "isPlainJson"> {
  readonly config: OpenClawConfig;
}

/** Reads OpenClaw's configuration. @throws ConfigError when it is invalid */
export function readOpenClawConfig(file: string): OnDisk {
  if (!existsSync(file)) return { config: {}, files: [], isPlainJson: true };
  try {
    const { merged, ...onDisk } = readConfigFiles(file);
    return { config: openClawConfig.parse(merged), ...onDisk };
  } catch {
    // The error may quote the file, which contains secrets.
    throw new ConfigError(`${file} is invalid. Run \`openclaw config validate\` to see what is wrong with it.`);
  }
}

/** Our provider in OpenClaw's configuration; null when there is none. */
export function ourProvider(config: OpenClawConfig): z.infer<typeof provider> | null {
  return provider.safeParse(config.models?.providers?.[PROVIDER]).data ?? null;
}

/** By default OpenClaw gives up after 300 s without an event, and Claude may work for longer without writing. */
const TIMEOUT_SECONDS = 3600;

const model = {
  id: DEFAULT_MODEL,
  name: "Claude Code",
  contextWindow: 200_000,
  maxTokens: 32_000,
  input: ["text", "image"],
};
const compat = { sendSessionAffinityHeaders: true, supportsPromptCacheKey: true };

export const baseUrl = (port: number) => `http://127.0.0.1:${port}/v1`;

/** Our provider as it should be: with our address, key and model. All other fields stay as the user has set them. */
function wantedProvider(config: OpenClawConfig, port: number, key: string) {
  const current = ourProvider(config);
  const models = current?.models ?? [];
  const own = models.find(({ id }) => id === DEFAULT_MODEL);
  const wanted = { ...model, ...own, compat: { ...compat, ...asObject(own?.compat) } };
  return {
    timeoutSeconds: TIMEOUT_SECONDS,
    ...current,
    baseUrl: baseUrl(port),
    // The user has put the key into a secret or a variable.
    apiKey: isReference(current?.apiKey) ? current?.apiKey : key,
    models: own ? models.map((one) => (one === own ? wanted : one)) : [...models, wanted],
  };
}

/** Whether OpenClaw reads the key from a secret or an environment variable. */
export const isReference = (key: unknown): boolean =>
  (typeof key === "object" && key !== null) || (typeof key === "string" && /^\$\{.*\}$/.test(key));

const asObject = (value: unknown): object => (typeof value === "object" && value !== null ? value : {});

/** Patches for `openclaw config patch`, and how they are shown to people. */
export interface Patches {
  /** One for each section: a patch may change only one file, and sections may be in several files. */
  readonly patches: readonly Record<string, unknown>[];
  /** Each line begins with `+`, `~` or `-`. No line contains the key. */
  readonly lines: string[];
}

/**
 * The changes that add our provider to OpenClaw, or correct it.
 * @param keySource where the key is, for people
 * @param asDefault whether our model becomes the default model
 */
export function patchesToAdd(
  config: OpenClawConfig,
  { port, key, keySource, asDefault }: { port: number; key: string; keySource: string; asDefault: boolean },
): Patches {
  const current = ourProvider(config);
  const wanted = wantedProvider(config, port, key);
  const lines: string[] = [];
  const patches: Record<string, unknown>[] = [];
  const missing = Object.entries(wanted).filter(([name, value]) => !isDeepStrictEqual(current?.[name], value));
  if (missing.length > 0) {
    patches.push({ models: { providers: { [PROVIDER]: Object.fromEntries(missing) } } });
    const where = `models.providers.${PROVIDER}`;
    if (!current) lines.push(`+ ${where}: ${wanted.baseUrl}, model ${DEFAULT_MODEL}, the key in ${keySource}`);
    else {
      if (current.baseUrl !== wanted.baseUrl) lines.push(`~ ${where}.baseUrl: ${current.baseUrl} → ${wanted.baseUrl}`);
      if (current.apiKey !== wanted.apiKey) lines.push(`~ ${where}.apiKey: the key in ${keySource}`);
      if (current.timeoutSeconds !== wanted.timeoutSeconds) {
        lines.push(`+ ${where}.timeoutSeconds: ${wanted.timeoutSeconds}`);
      }
      if (!isDeepStrictEqual(current.models, wanted.models)) {
        lines.push(`~ ${where}.models: missing fields of ${DEFAULT_MODEL}`);
      }
    }
  }
  const defaults: Record<string, unknown> = {};
  const choice = config.agents?.defaults?.model;
  if (asDefault && primaryModel(choice) !== MODEL_REF) {
    // A patch merges objects, so that the fallbacks stay.
    defaults.model = typeof choice === "object" ? { primary: MODEL_REF } : MODEL_REF;
    const from = primaryModel(choice);
    lines.push(`${from ? "~" : "+"} agents.defaults.model: ${from ? `${from} → ` : ""}${MODEL_REF}`);
  }
  const allowed = config.agents?.defaults?.modelPolicy?.allow ?? [];
  // An empty list allows every model.
  if (allowed.length > 0 && !allowed.includes(MODEL_REF) && !allowed.includes(`${PROVIDER}/*`)) {
    defaults.modelPolicy = { allow: [...allowed, MODEL_REF] };
    lines.push(`+ agents.defaults.modelPolicy.allow: ${MODEL_REF}`);
  }
  if (Object.keys(defaults).length > 0) patches.push({ agents: { defaults } });
  return { patches, lines };
}

/**
 * The changes that remove our provider, and restore the former default model. They are several patches, because
 * OpenClaw refuses one that removes half of its file. It empties a list only if the list's path is `replaced`.
 */
export function patchesToRemove(
  config: OpenClawConfig,
  formerModel: string | null,
): { patches: { patch: Record<string, unknown>; replaced?: string }[]; lines: string[] } {
  const lines: string[] = [];
  const defaults: Record<string, unknown> = {};
  const choice = config.agents?.defaults?.model;
  if (primaryModel(choice) === MODEL_REF) {
    lines.push(`~ agents.defaults.model: ${MODEL_REF} → ${formerModel ?? "none"}`);
    defaults.model = typeof choice === "object" ? { primary: formerModel } : formerModel;
  }
  const allowed = config.agents?.defaults?.modelPolicy?.allow ?? [];
  if (allowed.includes(MODEL_REF)) {
    lines.push(`- agents.defaults.modelPolicy.allow: ${MODEL_REF}`);
    defaults.modelPolicy = { allow: allowed.filter((one) => one !== MODEL_REF) };
  }
  const patches: { patch: Record<string, unknown>; replaced?: string }[] = [];
  if (Object.keys(defaults).length > 0) patches.push({ patch: { agents: { defaults } } });
  if (config.models?.providers?.[PROVIDER] !== undefined) {
    lines.push(`- models.providers.${PROVIDER}`);
    patches.push({
      patch: { models: { providers: { [PROVIDER]: { models: [] } } } },
      replaced: `models.providers.${PROVIDER}.models`,
    });
    const last = isAlone(config.models, "providers") && isAlone(config.models.providers, PROVIDER);
    patches.push({ patch: { models: last ? null : { providers: { [PROVIDER]: null } } } });
  }
  return { patches, lines };
}

const isAlone = (object: object | undefined, key: string) =>
  object !== undefined && Object.keys(object).length === 1 && key in object;

/** The name of the default model, if there is one. */
export const primaryModel = (choice: ModelChoice | undefined): string | undefined =>
  typeof choice === "object" ? choice.primary : choice;

/** Whether OpenClaw loads our plugin from `folder`. */
export function pluginState({ plugins }: OpenClawConfig, folder: string): "loaded" | "disabled" | "absent" {
  if (!plugins?.load?.paths?.includes(folder)) return "absent";
  const entry = asObject(plugins.entries?.[PROVIDER]) as { enabled?: unknown };
  return entry.enabled === false ? "disabled" : "loaded";
}
