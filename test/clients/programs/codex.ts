/** `@openai/codex`: OpenAI's coding agent with a shell of its own, over responses, used as `codex exec`. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { type Access, type Client, report } from "../client.ts";
import { createFolders, type Folders, type Program, startProgram } from "./program.ts";

const script = join(import.meta.dir, "../node_modules/@openai/codex/bin/codex.js");

/** Starts `codex exec` with these arguments, of which the last is the prompt. It writes the answer when it is complete. */
function start({ baseURL, apiKey, model }: Access, folders: Folders, ...given: string[]): Program {
  const home = join(folders.home, ".codex");
  mkdirSync(home, { recursive: true });
  const provider = { name: "synthesis", base_url: baseURL, env_key: "SYNTHESIS_API_KEY", wire_api: "responses" };
  const lines = Object.entries(provider).map(([name, value]) => `${name} = ${JSON.stringify(value)}`);
  const config = [`model = "${model}"`, 'model_provider = "synthesis"', "[model_providers.synthesis]", ...lines];
  writeFileSync(join(home, "config.toml"), config.join("\n"));
  // The folder is no repository, and a container may have no sandbox.
  const options = ["--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox"];
  return startProgram(["node", script, "exec", ...options, ...given], folders, { SYNTHESIS_API_KEY: apiKey });
}

export const codex = {
  text: async (access, prompt) => {
    using folders = createFolders();
    return await start(access, folders, prompt).output();
  },

  turns: async (access, [first, second]) => {
    using folders = createFolders();
    await start(access, folders, first).output();
    return await start(access, folders, "resume", "--last", second).output();
  },

  tools: async (access, prompt) => {
    using folders = createFolders();
    return await start(access, folders, prompt).output();
  },

  structured: async (access, prompt) => {
    using folders = createFolders();
    const schema = join(folders.home, "report.json");
    writeFileSync(schema, JSON.stringify(z.toJSONSchema(report)));
    return JSON.parse(await start(access, folders, "--output-schema", schema, prompt).output());
  },

  abort: async (access, prompt, onText, signal) => {
    using folders = createFolders();
    const program = start(access, folders, prompt);
    // Ctrl+C.
    signal.addEventListener("abort", () => program.stop("SIGINT"));
    onText(await program.output());
  },
} satisfies Partial<Client>;
