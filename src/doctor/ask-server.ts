import type { z } from "zod";
import type { Paths } from "../config/paths.ts";
import { lockHolder } from "../store/lock.ts";

/** A server that runs answers at once. */
const TIMEOUT_MS = 2_000;

/**
 * Asks the server of this state folder.
 * @param path the address, which begins with a slash
 * @param key the chat key, for an address that needs it
 * @returns null when no server runs, or it answers in another form: one of an earlier version, or with another key
 */
export async function askServer<Schema extends z.ZodType>(
  { lock }: Pick<Paths, "lock">,
  path: string,
  schema: Schema,
  key?: string,
): Promise<z.output<Schema> | null> {
  const port = lockHolder(lock)?.port;
  if (!port) return null;
  const response = await fetch(`http://127.0.0.1:${port}${path}`, {
    headers: key === undefined ? {} : { authorization: `Bearer ${key}` },
    signal: AbortSignal.timeout(TIMEOUT_MS),
    proxy: false,
  });
  return schema.safeParse(await response.json()).data ?? null;
}
