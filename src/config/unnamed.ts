import type { Config } from "./schema.ts";

/** The settings for a request that names no conversation: Claude only answers, with the client's tools and prompt. */
export const unnamedConfig = (config: Config): Config => ({
  ...config,
  systemPrompt: "replace",
  clientTools: ["all"],
  reply: "live",
});
