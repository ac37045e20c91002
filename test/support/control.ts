/** The control API for sessions, as a program with the control key uses it. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { World } from "./world.ts";

export const controlKey = ({ claude }: World): string =>
  readFileSync(join(claude.base, "state/control.key"), "utf8").trim();

interface ControlOptions {
  readonly method?: string;
  readonly key?: string;
  /** The address of another server than the world's. */
  readonly url?: string;
  readonly signal?: AbortSignal;
}

/** Sends a request to `/v1/sessions`. @param path the rest of the path */
export const control = (world: World, path: string, options: ControlOptions = {}): Promise<Response> => {
  const { method = "GET", key = controlKey(world), url = world.server.url, signal } = options;
  const headers = { authorization: `Bearer ${key}` };
  return fetch(`${url}/v1/sessions${path}`, { method, headers, ...(signal ? { signal } : {}) });
};

/** The path of a session below `/v1/sessions`. */
export const at = (key: string): string => `/${encodeURIComponent(key)}`;
