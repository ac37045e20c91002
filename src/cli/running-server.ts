/** The server that uses a state folder, as other commands of this program reach it: with its control key. */
import { existsSync, readFileSync } from "node:fs";
import { z } from "zod";
import { pathsFor } from "../config/paths.ts";
import { holderOf } from "../store/lock.ts";
import { Failure } from "./failure.ts";

const refusal = z.object({ error: z.object({ message: z.string() }) });

const session = z.looseObject({
  key: z.string(),
  source: z.string(),
  agent: z.string().nullable(),
  chat: z.string().nullable(),
  workspace: z.string(),
  model: z.string().nullable(),
  effort: z.string().nullable(),
  claude_session: z.string(),
  created_at: z.number(),
  last_active_at: z.number(),
  turns: z.number(),
  state: z.string(),
  pid: z.number().nullable(),
  waiting: z.number(),
});
type Session = z.infer<typeof session>;

const sessionInFull = session.extend({
  last_turns: z.array(
    z.looseObject({
      id: z.string(),
      state: z.string(),
      sent_at: z.number(),
      first_text_at: z.number().nullable(),
      ended_at: z.number().nullable(),
      error_code: z.string().nullable(),
      tokens_in: z.number().nullable(),
      tokens_out: z.number().nullable(),
    }),
  ),
  past_sessions: z.array(z.looseObject({ claude_session: z.string(), created_at: z.number(), ended_at: z.number() })),
});
export type SessionInFull = z.infer<typeof sessionInFull>;

const permission = z.looseObject({
  id: z.string(),
  session: z.string(),
  description: z.string(),
  sender: z.string().nullable(),
  asked_at: z.number(),
});
const permissionInFull = permission.extend({
  content: z.object({ text: z.string(), bytes: z.number(), sha256: z.string() }).nullable(),
});
export type PermissionInFull = z.infer<typeof permissionInFull>;

const permissionList = z.object({
  data: z.array(permission),
  latest: z.array(
    z.looseObject({
      session: z.string(),
      tool: z.string(),
      asked_at: z.number(),
      verdict: z.string().nullable(),
      way: z.string().nullable(),
      decided_by: z.string().nullable(),
    }),
  ),
});

const configDifference = z.object({ changed: z.array(z.string()), problem: z.string().nullable() });

export interface RunningServer {
  /** What would be different if the server started now, with what its file says by now. */
  configDifference(): Promise<z.infer<typeof configDifference>>;
  /** Changes the folders below which clients may choose their workspace, until the server ends. */
  changeRoots(change: { add?: readonly string[]; remove?: readonly string[] }): Promise<void>;
  sessions(): Promise<Session[]>;
  /**
   * The key of a session that is named by it, or by a beginning or an end of it that no other has.
   * @throws Failure when there is none such, or more than one
   */
  keyOf(name: string): Promise<string>;
  session(key: string): Promise<SessionInFull>;
  /** Does something to a session. @param path what comes behind its address */
  change(method: "POST" | "DELETE", key: string, path?: string): Promise<void>;
  /** A session's terminal, as server-sent events. */
  screen(key: string, signal: AbortSignal): Promise<Response>;
  /** What claude asks, and what it has asked of late. */
  permissions(): Promise<z.infer<typeof permissionList>>;
  /** A question that waits, with all that is to be done. @throws Failure when it does not wait any more */
  permission(id: string): Promise<PermissionInFull>;
  /** Answers a question. @throws Failure when it does not wait any more */
  answer(id: string, answer: { behavior: "allow" | "deny"; rule?: string | undefined }): Promise<void>;
}

/**
 * @param home the state folder, if not the usual one
 * @throws Failure when no server uses it
 */
export function runningServer(home: string | undefined): RunningServer {
  const paths = pathsFor(home ?? process.env.SYNTHESIS_HOME);
  const holder = holderOf(paths.lock);
  if (!holder?.port || !existsSync(paths.controlKey)) {
    throw new Failure(
      `No server runs in ${paths.home}. Start one with \`synthesis serve\`, or name its folder with --home.`,
    );
  }
  const address = `http://127.0.0.1:${holder.port}/v1`;
  const authorization = `Bearer ${readFileSync(paths.controlKey, "utf8").trim()}`;
  const call = async (path: string, init: RequestInit = {}): Promise<Response> => {
    let response: Response;
    try {
      const headers = { authorization, "content-type": "application/json" };
      // Bun would send it, with the key, through the proxy that HTTP_PROXY names.
      response = await fetch(`${address}${path}`, { ...init, headers, proxy: false });
    } catch (error) {
      throw new Failure(`The server in ${paths.home} does not answer: ${(error as Error).message}`);
    }
    if (response.ok) return response;
    const body = refusal.safeParse(await response.json());
    throw new Failure(body.success ? body.data.error.message : `The server answers with ${response.status}.`);
  };
  const at = (key: string) => `/sessions/${encodeURIComponent(key)}`;
  const sessions = async () => z.object({ data: z.array(session) }).parse(await (await call("/sessions")).json()).data;

  return {
    configDifference: async () => configDifference.parse(await (await call("/config")).json()),
    changeRoots: async (change) => {
      await call("/config/roots", { method: "POST", body: JSON.stringify(change) });
    },
    sessions,
    keyOf: async (name) => {
      const keys = (await sessions()).map(({ key }) => key);
      if (keys.includes(name)) return name;
      const found = keys.filter((key) => key.startsWith(name) || key.endsWith(name));
      if (found.length === 1) return found[0] as string;
      if (found.length === 0) throw new Failure(`There is no session ${name}. \`synthesis sessions list\` shows all.`);
      throw new Failure(`${name} may be any of these; name more of it:\n${found.map((key) => `  ${key}`).join("\n")}`);
    },
    session: async (key) => sessionInFull.parse(await (await call(at(key))).json()),
    change: async (method, key, path = "") => {
      // To its end: the answer comes when it is done, which takes as long as claude takes to end.
      await (await call(`${at(key)}${path}`, { method })).text();
    },
    screen: (key, signal) => call(`${at(key)}/screen`, { signal }),
    permissions: async () => permissionList.parse(await (await call("/permissions")).json()),
    permission: async (id) =>
      permissionInFull.parse(await (await call(`/permissions/${encodeURIComponent(id)}`)).json()),
    answer: async (id, answer) => {
      await call(`/permissions/${encodeURIComponent(id)}`, { method: "POST", body: JSON.stringify(answer) });
    },
  };
}
