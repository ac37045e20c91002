/** What OpenClaw's configuration says about synthesis. */
import { existsSync } from "node:fs";
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
  api: z.unknown().optional(),
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

/** The base URL of a server on this machine. */
export const localBaseUrl = (port: number): string => `http://127.0.0.1:${port}/v1`;

/** Whether OpenClaw reads the key from a secret or an environment variable. */
export const isReference = (key: unknown): boolean =>
  (typeof key === "object" && key !== null) || (typeof key === "string" && /^\$\{.*\}$/.test(key));

/** The value if it is an object, otherwise an empty object. */
export const asObject = (value: unknown): object => (typeof value === "object" && value !== null ? value : {});

/** The name of the default model, if there is one. */
export const primaryModel = (choice: ModelChoice | undefined): string | undefined =>
  typeof choice === "object" ? choice.primary : choice;

/** Whether OpenClaw loads our plugin from `folder`. */
export function pluginState({ plugins }: OpenClawConfig, folder: string): "loaded" | "disabled" | "absent" {
  if (!plugins?.load?.paths?.includes(folder)) return "absent";
  const entry = asObject(plugins.entries?.[PROVIDER]) as { enabled?: unknown };
  return entry.enabled === false ? "disabled" : "loaded";
}
