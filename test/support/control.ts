/** The sessions' doors, as a program with the control key uses them. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { World } from "./world.ts";

export const controlKey = ({ claude }: World): string =>
  readFileSync(join(claude.base, "state/control.key"), "utf8").trim();

interface ControlOptions {
  readonly method?: string;
  readonly key?: string;
  /** The server's address, if it is not the world's own. */
  readonly url?: string;
  readonly signal?: AbortSignal;
}

/** Asks `/v1/sessions`. @param path what comes behind that */
export const control = (world: World, path: string, options: ControlOptions = {}): Promise<Response> => {
  const { method = "GET", key = controlKey(world), url = world.server.url, signal } = options;
  const headers = { authorization: `Bearer ${key}` };
  return fetch(`${url}/v1/sessions${path}`, { method, headers, ...(signal ? { signal } : {}) });
};

/** The address of a session behind `/v1/sessions`. */
export const at = (key: string): string => `/${encodeURIComponent(key)}`;
