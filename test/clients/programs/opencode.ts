/** `opencode-ai`: a coding agent with file and shell tools of its own, used over the HTTP API of `opencode serve`. */
import { join } from "node:path";
import { z } from "zod";
import { readLines } from "../../../src/core/read-lines.ts";
import { type Access, type Client, type OnText, report } from "../client.ts";
import { createFolders, startProgram } from "./program.ts";

const system = process.platform === "win32" ? "windows" : process.platform;
const executable = join(import.meta.dir, "../node_modules", `opencode-${system}-${process.arch}`, "bin/opencode");

interface Reply {
  readonly parts: readonly { readonly type: string; readonly text?: string }[];
  readonly info: { readonly structured?: unknown };
}

/** A running `opencode serve`. */
interface Server {
  openSession(): Promise<string>;
  say(session: string, prompt: string, more?: object): Promise<Reply>;
  abort(session: string): Promise<unknown>;
  /** Reports the text of a session's answer as it is written. Resolves when the program has begun to report. */
  watch(session: string, onText: OnText): Promise<{ readonly idle: Promise<void> }>;
}

const servers = new WeakMap<Access, Promise<Server>>();

/** The server that all cases share: it takes seconds to start. */
function serverOf(access: Access): Promise<Server> {
  const server = servers.get(access) ?? startServer(access);
  servers.set(access, server);
  return server;
}

async function startServer({ baseURL, apiKey, model, ending }: Access): Promise<Server> {
  const folders = ending.use(createFolders());
  const synthesis = {
    npm: "@ai-sdk/openai-compatible",
    options: { baseURL, apiKey },
    models: { [model]: {} },
  };
  const program = startProgram([executable, "serve", "--hostname", "127.0.0.1", "--port", "0"], folders, {
    OPENCODE_CONFIG_CONTENT: JSON.stringify({ model: `synthesis/${model}`, provider: { synthesis } }),
    // Both would ask the Internet.
    OPENCODE_DISABLE_AUTOUPDATE: "1",
    OPENCODE_DISABLE_MODELS_FETCH: "1",
  });
  // Nothing of it is needed any more.
  ending.defer(() => program.stop("SIGKILL"));
  const url = /http:\S+/.exec(await program.printed(/listening on http/))?.[0];
  const post = async (path: string, body: object) => {
    const headers = { "content-type": "application/json" };
    const response = await fetch(`${url}${path}`, { method: "POST", headers, body: JSON.stringify(body) });
    if (!response.ok) throw new Error(`opencode answered ${response.status}: ${await response.text()}`);
    return response.json();
  };
  return {
    openSession: async () => ((await post("/session", {})) as { id: string }).id,
    say: async (session, prompt, more = {}) => {
      const parts = [{ type: "text", text: prompt }];
      return (await post(`/session/${session}/message`, { parts, ...more })) as Reply;
    },
    abort: (session) => post(`/session/${session}/abort`, {}),
    watch: async (session, onText) => {
      const { body } = await fetch(`${url}/event`);
      if (!body) throw new Error("opencode sends no events");
      const [connected, idle] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
      const onLine = (line: string) => {
        if (!line.startsWith("data: ")) return;
        const { type, properties } = JSON.parse(line.slice("data: ".length));
        if (type === "server.connected") connected.resolve();
        if (properties.sessionID !== session) return;
        if (type === "session.idle") idle.resolve();
        if (type === "message.part.delta" && properties.field === "text") onText(properties.delta);
      };
      // The events end with the program.
      readLines(body, onLine).catch(() => {});
      await connected.promise;
      return { idle: idle.promise };
    },
  };
}

const textOf = ({ parts }: Reply) => parts.map(({ text = "" }) => text).join("");

async function ask(access: Access, prompt: string, more: object = {}): Promise<Reply> {
  const server = await serverOf(access);
  return server.say(await server.openSession(), prompt, more);
}

export const opencode = {
  text: async (access, prompt) => textOf(await ask(access, prompt)),

  stream: async (access, prompt, onText) => {
    const server = await serverOf(access);
    const session = await server.openSession();
    const { idle } = await server.watch(session, onText);
    await server.say(session, prompt);
    await idle;
  },

  turns: async (access, [first, second]) => {
    const server = await serverOf(access);
    const session = await server.openSession();
    await server.say(session, first);
    return textOf(await server.say(session, second));
  },

  tools: async (access, prompt) => textOf(await ask(access, prompt)),

  structured: async (access, prompt) =>
    (await ask(access, prompt, { format: { type: "json_schema", schema: z.toJSONSchema(report) } })).info.structured,

  abort: async (access, prompt, onText, signal) => {
    const server = await serverOf(access);
    const session = await server.openSession();
    const { idle } = await server.watch(session, onText);
    signal.addEventListener("abort", () => server.abort(session));
    await server.say(session, prompt);
    await idle;
  },
} satisfies Partial<Client>;
