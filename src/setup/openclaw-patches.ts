/** The patches that add synthesis to OpenClaw's configuration, and those that remove it. */
import { isDeepStrictEqual } from "node:util";
import { CONTEXT_TOKENS, DEFAULT_MODEL, OUTPUT_TOKENS } from "../claude/models.ts";
import {
  asObject,
  isReference,
  MODEL_REF,
  type OpenClawConfig,
  ourProvider,
  PROVIDER,
  primaryModel,
} from "./openclaw-config.ts";

/** By default OpenClaw gives up after 300 s without an event, and Claude may work for longer without writing. */
const TIMEOUT_SECONDS = 3600;
/**
 * OpenClaw's default. Where it is left out, OpenClaw does not take the model from its configuration: with each message
 * it asks its plugins for the model, and lets another process read its stored logins.
 */
const API = "openai-completions";

const model = {
  id: DEFAULT_MODEL,
  name: "Claude Code",
  contextWindow: CONTEXT_TOKENS,
  maxTokens: OUTPUT_TOKENS,
  input: ["text", "image"],
};
const compat = { sendSessionAffinityHeaders: true, supportsPromptCacheKey: true };

/** Our provider as it should be: with our address, key and model. All other fields stay as the user has set them. */
function wantedProvider(config: OpenClawConfig, baseUrl: string, key: string) {
  const current = ourProvider(config);
  const models = current?.models ?? [];
  const own = models.find(({ id }) => id === DEFAULT_MODEL);
  const wanted = { ...model, ...own, compat: { ...compat, ...asObject(own?.compat) } };
  return {
    api: API,
    timeoutSeconds: TIMEOUT_SECONDS,
    ...current,
    baseUrl,
    // The user has put the key into a secret or a variable.
    apiKey: isReference(current?.apiKey) ? current?.apiKey : key,
    models: own ? models.map((one) => (one === own ? wanted : one)) : [...models, wanted],
  };
}

/** Patches for `openclaw config patch`, and how they are shown to people. */
export interface Patches {
  /** One patch for each section, because a patch may change only one file, and sections can be in several files. */
  readonly patches: readonly Record<string, unknown>[];
  /** Each line begins with `+`, `~` or `-`. No line contains the key. */
  readonly lines: string[];
}

/**
 * The changes that add our provider to OpenClaw, or correct it.
 * @param baseUrl where OpenClaw reaches the server
 * @param keySource where the key is, for people
 * @param asDefault whether our model becomes the default model
 */
export function patchesToAdd(
  config: OpenClawConfig,
  { baseUrl, key, keySource, asDefault }: { baseUrl: string; key: string; keySource: string; asDefault: boolean },
): Patches {
  const current = ourProvider(config);
  const wanted = wantedProvider(config, baseUrl, key);
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
      for (const name of ["api", "timeoutSeconds"] as const) {
        if (current[name] !== wanted[name]) lines.push(`+ ${where}.${name}: ${wanted[name]}`);
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
