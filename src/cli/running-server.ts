/** A client of the control API, with which the other commands reach the server that runs in a state folder. */
import { existsSync, readFileSync } from "node:fs";
import { pathsFor } from "../config/paths.ts";
import { lockHolder } from "../store/lock.ts";
import { type ConfigDifference, configDifference, type RootsChange } from "../wire/config.ts";
import { errorBody } from "../wire/errors.ts";
import { type PageCode, type PageRole, pageCode } from "../wire/page.ts";
import {
  type PermissionList,
  type PermissionPromptDetails,
  type PermissionVerdict,
  permissionList,
  permissionPromptDetails,
} from "../wire/permissions.ts";
import { type SessionDetails, type SessionList, sessionDetails, sessionList } from "../wire/sessions.ts";
import { type UsageQuery, type UsageReport, usageReport } from "../wire/usage.ts";
import { Failure } from "./failure.ts";

export interface RunningServer {
  /** How the configuration file differs from the configuration that the server runs with. */
  configDifference(): Promise<ConfigDifference>;
  /** Changes the folders below which clients may choose their workspace, until the server stops. */
  changeRoots(change: RootsChange): Promise<void>;
  sessions(): Promise<Omit<SessionList, "object">>;
  /**
   * Finds a session key by the key itself, its beginning or its end.
   * @throws Failure if no session matches, or more than one does
   */
  keyOf(name: string): Promise<string>;
  session(key: string): Promise<SessionDetails>;
  /** Sends a request that changes a session. @param path is appended to the session's address */
  change(method: "POST" | "DELETE", key: string, path?: string): Promise<void>;
  /** A session's terminal, as server-sent events (`wire/screen.ts`). */
  screen(key: string, signal: AbortSignal): Promise<Response>;
  /** The permission prompts that wait, and the latest from the log. */
  permissions(): Promise<Omit<PermissionList, "object">>;
  /** A permission prompt with its full content. @throws Failure if it no longer waits */
  permission(id: string): Promise<PermissionPromptDetails>;
  /** Answers a permission prompt. @throws Failure if it no longer waits */
  answer(id: string, verdict: PermissionVerdict): Promise<void>;
  usage(query: UsageQuery): Promise<UsageReport>;
  /** A one-time code with which a page comes in. */
  pageCode(role: PageRole): Promise<PageCode>;
}

/**
 * @param home the state folder; the default one if undefined
 * @throws Failure if no server runs in it
 */
export function runningServer(home: string | undefined): RunningServer {
  const paths = pathsFor(home ?? process.env.SYNTHESIS_HOME);
  const holder = lockHolder(paths.lock);
  if (!holder?.port || !existsSync(paths.controlKey)) {
    throw new Failure(
      `No server runs in ${paths.home}. Start one with \`synthesis serve\`, or name its folder with --home.`,
    );
  }
  const address = `http://127.0.0.1:${holder.port}/v1`;
  const authorization = `Bearer ${readFileSync(paths.controlKey, "utf8").trim()}`;
  const call = async (path: string, init: BunFetchRequestInit = {}): Promise<Response> => {
    let response: Response;
    try {
      const headers = { authorization, "content-type": "application/json" };
      // By default Bun would send the request, key included, to the proxy in HTTP_PROXY.
      response = await fetch(`${address}${path}`, { ...init, headers, proxy: false });
    } catch (error) {
      throw new Failure(`The server in ${paths.home} does not answer: ${(error as Error).message}`);
    }
    if (response.ok) return response;
    const body = errorBody.safeParse(await response.json());
    throw new Failure(body.success ? body.data.error.message : `The server answered with status ${response.status}.`);
  };
  const at = (key: string) => `/sessions/${encodeURIComponent(key)}`;
  const sessions = async () => sessionList.parse(await (await call("/sessions")).json());

  return {
    configDifference: async () => configDifference.parse(await (await call("/config")).json()),
    changeRoots: async (change) => {
      await call("/config/roots", { method: "POST", body: JSON.stringify(change) });
    },
    sessions,
    keyOf: async (name) => {
      const { data, missing_nodes } = await sessions();
      const keys = data.map(({ key }) => key);
      if (keys.includes(name)) return name;
      const found = keys.filter((key) => key.startsWith(name) || key.endsWith(name));
      if (found.length === 1) return found[0] as string;
      if (found.length === 0)
        throw new Failure(
          `There is no session ${name}${missing_nodes ? " on the nodes that answer" : ""}. \`synthesis sessions list\` shows all sessions.`,
        );
      throw new Failure(
        `More than one session matches ${name}. Give more of its key:\n${found.map((key) => `  ${key}`).join("\n")}`,
      );
    },
    session: async (key) => sessionDetails.parse(await (await call(at(key))).json()),
    change: async (method, key, path = "") => {
      // The response may begin before the change is complete: Claude Code takes a while to exit.
      await (await call(`${at(key)}${path}`, { method })).text();
    },
    // By default Bun would end it when nothing changes on the screen for five minutes.
    screen: (key, signal) => call(`${at(key)}/screen`, { signal, timeout: false }),
    permissions: async () => {
      const { object: _object, ...list } = permissionList.parse(await (await call("/permissions")).json());
      return list;
    },
    permission: async (id) =>
      permissionPromptDetails.parse(await (await call(`/permissions/${encodeURIComponent(id)}`)).json()),
    answer: async (id, verdict) => {
      await call(`/permissions/${encodeURIComponent(id)}`, { method: "POST", body: JSON.stringify(verdict) });
    },
    usage: async (query) => {
      const search = new URLSearchParams(
        Object.entries(query).map(([name, value]) => [name, `${value}`] as [string, string]),
      );
      return usageReport.parse(await (await call(`/usage?${search}`)).json());
    },
    pageCode: async (role) =>
      pageCode.parse(await (await call("/page/codes", { method: "POST", body: JSON.stringify({ role }) })).json()),
  };
}
