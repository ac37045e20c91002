/** `@continuedev/cli`: a coding agent with file and shell tools of its own, used as `cn -p`. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Access, Client } from "../client.ts";
import { createFolders, type Folders, type Program, startProgram } from "./program.ts";

const script = join(import.meta.dir, "../node_modules/@continuedev/cli/dist/cn.js");

/** Starts `cn -p` with a prompt. It is written for Node. */
function start({ baseURL, apiKey, model }: Access, folders: Folders, prompt: string, ...options: string[]): Program {
  const config = join(folders.home, "config.yaml");
  const claude = { name: "Claude", provider: "openai", model, apiBase: baseURL, apiKey };
  writeFileSync(config, Bun.YAML.stringify({ name: "Test", version: "1.0.0", schema: "v1", models: [claude] }));
  return startProgram(["node", script, "--config", config, ...options, "-p", prompt], folders, {
    CONTINUE_CLI_ENABLE_TELEMETRY: "0",
  });
}

export const continueCli = {
  text: async (access, prompt) => {
    using folders = createFolders();
    return await start(access, folders, prompt).output();
  },

  turns: async (access, [first, second]) => {
    using folders = createFolders();
    await start(access, folders, first).output();
    return await start(access, folders, second, "--resume").output();
  },

  tools: async (access, prompt) => {
    using folders = createFolders();
    return await start(access, folders, prompt).output();
  },

  abort: async (access, prompt, onText, signal) => {
    using folders = createFolders();
    const program = start(access, folders, prompt);
    // Ctrl+C.
    signal.addEventListener("abort", () => program.stop("SIGINT"));
    onText(await program.output());
  },
} satisfies Partial<Client>;
