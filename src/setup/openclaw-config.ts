/** What OpenClaw's configuration says of us, and what it should say. Pure but for reading the files. */

import { existsSync } from "node:fs";
import { isDeepStrictEqual } from "node:util";
import { z } from "zod";
import { DEFAULT_MODEL } from "../claude/models.ts";

import { ConfigError } from "../config/config-error.ts";
import { type ConfigFiles, readConfigFiles } from "./openclaw-files.ts";

/** Our name among its providers and among its plugins. */
export const PROVIDER = "synthesis";
/** Our model, as OpenClaw writes it. */
export const MODEL_REF = `${PROVIDER}/${DEFAULT_MODEL}`;

const provider = z.looseObject({
  baseUrl: z.unknown().optional(),
  apiKey: z.unknown().optional(),
  timeoutSeconds: z.unknown().optional(),
  models: z.array(z.looseObject({ id: z.unknown() })).optional(),
});
const modelChoice = z.union([z.string(), z.looseObject({ primary: z.string().optional() })]);

/** As far as we read it; everything else passes through unread. */
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

export interface OnDisk extends Pick<ConfigFiles, "files" | "arePlain"> {
  readonly config: OpenClawConfig;
}

/**
 * Reads its configuration.
 * @throws ConfigError when it cannot be read as what it should be
 */
export function readOpenClawConfig(file: string): OnDisk {
  if (!existsSync(file)) return { config: {}, files: [], arePlain: true };
  try {
    const { whole, ...onDisk } = readConfigFiles(file);
    return { config: openClawConfig.parse(whole), ...onDisk };
  } catch {
    // The reason may quote the file, which holds secrets.
    throw new ConfigError(`${file} cannot be read. \`openclaw config validate\` says what is wrong with it.`);
  }
}

/** Our provider as it stands there, if it does. */
export function ourProvider(config: OpenClawConfig): z.infer<typeof provider> | null {
  return provider.safeParse(config.models?.providers?.[PROVIDER]).data ?? null;
}

/** OpenClaw's own limit is 300 s without an event; a claude at work may be quiet for longer. */
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

/** The provider to be: ours in what must be so, the user's in all that they have set otherwise. */
function wantedProvider(config: OpenClawConfig, port: number, key: string) {
  const there = ourProvider(config);
  const models = there?.models ?? [];
  const own = models.find(({ id }) => id === DEFAULT_MODEL);
  const wanted = { ...model, ...own, compat: { ...compat, ...asObject(own?.compat) } };
  return {
    timeoutSeconds: TIMEOUT_SECONDS,
    ...there,
    baseUrl: baseUrl(port),
    // A reference to a secret or a variable is the user's own arrangement.
    apiKey: isReference(there?.apiKey) ? there?.apiKey : key,
    models: own ? models.map((one) => (one === own ? wanted : one)) : [...models, wanted],
  };
}

export const isReference = (key: unknown): boolean =>
  (typeof key === "object" && key !== null) || (typeof key === "string" && /^\$\{.*\}$/.test(key));

const asObject = (value: unknown): object => (typeof value === "object" && value !== null ? value : {});

/** What `openclaw config patch` is to be given, one after the other, and what a person is shown of it. */
export interface Patches {
  /** One for each section: OpenClaw writes to one file at a time, and sections may lie in several. */
  readonly patches: readonly Record<string, unknown>[];
  /** Each begins with `+`, `~` or `-`; none holds the key. */
  readonly lines: string[];
}

/**
 * The changes that give OpenClaw our provider, and make it the default.
 * @param keyPlace where the key is, for people
 * @param asDefault whether our model becomes the default one
 */
export function patchesToAdd(
  config: OpenClawConfig,
  { port, key, keyPlace, asDefault }: { port: number; key: string; keyPlace: string; asDefault: boolean },
): Patches {
  const there = ourProvider(config);
  const wanted = wantedProvider(config, port, key);
  const lines: string[] = [];
  const patches: Record<string, unknown>[] = [];
  const missing = Object.entries(wanted).filter(([name, value]) => !isDeepStrictEqual(there?.[name], value));
  if (missing.length > 0) {
    patches.push({ models: { providers: { [PROVIDER]: Object.fromEntries(missing) } } });
    const where = `models.providers.${PROVIDER}`;
    if (!there) lines.push(`+ ${where}: ${wanted.baseUrl}, model ${DEFAULT_MODEL}, the key in ${keyPlace}`);
    else {
      if (there.baseUrl !== wanted.baseUrl) lines.push(`~ ${where}.baseUrl: ${there.baseUrl} → ${wanted.baseUrl}`);
      if (there.apiKey !== wanted.apiKey) lines.push(`~ ${where}.apiKey: the key in ${keyPlace}`);
      if (there.timeoutSeconds !== wanted.timeoutSeconds) {
        lines.push(`+ ${where}.timeoutSeconds: ${wanted.timeoutSeconds}`);
      }
      if (!isDeepStrictEqual(there.models, wanted.models))
        lines.push(`~ ${where}.models: what is missing of ${DEFAULT_MODEL}`);
    }
  }
  const defaults: Record<string, unknown> = {};
  const choice = config.agents?.defaults?.model;
  if (asDefault && primary(choice) !== MODEL_REF) {
    // Its fallbacks stay.
    defaults.model = typeof choice === "object" ? { primary: MODEL_REF } : MODEL_REF;
    const from = primary(choice);
    lines.push(`${from ? "~" : "+"} agents.defaults.model: ${from ? `${from} → ` : ""}${MODEL_REF}`);
  }
  const allowed = config.agents?.defaults?.modelPolicy?.allow ?? [];
  // An empty list lets every model in; another one only what it names.
  if (allowed.length > 0 && !allowed.includes(MODEL_REF) && !allowed.includes(`${PROVIDER}/*`)) {
    defaults.modelPolicy = { allow: [...allowed, MODEL_REF] };
    lines.push(`+ agents.defaults.modelPolicy.allow: ${MODEL_REF}`);
  }
  if (Object.keys(defaults).length > 0) patches.push({ agents: { defaults } });
  return { patches, lines };
}

/**
 * The changes that take our provider out again, and put the former default back, one after the other:
 * OpenClaw refuses a write that would halve its file, and to empty a list unless that is `replaced`.
 */
export function patchesToRemove(
  config: OpenClawConfig,
  formerModel: string | null,
): { patches: { patch: Record<string, unknown>; replaced?: string }[]; lines: string[] } {
  const lines: string[] = [];
  const defaults: Record<string, unknown> = {};
  const choice = config.agents?.defaults?.model;
  if (primary(choice) === MODEL_REF) {
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

/** The default model's name, if there is one. */
export const primary = (choice: ModelChoice | undefined): string | undefined =>
  typeof choice === "object" ? choice.primary : choice;

/** Whether OpenClaw loads our plugin from `folder`, and has not been told to leave it. */
export function hasPlugin({ plugins }: OpenClawConfig, folder: string): "loaded" | "disabled" | "absent" {
  if (!plugins?.load?.paths?.includes(folder)) return "absent";
  const entry = asObject(plugins.entries?.[PROVIDER]) as { enabled?: unknown };
  return entry.enabled === false ? "disabled" : "loaded";
}
