/**
 * claude's own word on whether it works: `<config>/sessions/<pid>.json`, which it keeps while it runs.
 * (Only that file is read: beside it lie keys that are none of our business.)
 */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { configFolder } from "./transcript.ts";
import { type Watch, watchChanges } from "./watch.ts";

export interface SessionStatus {
  readonly status: string;
  /** When it became that, Unix time in ms. */
  readonly since: number;
}

const session = z.looseObject({ status: z.string(), statusUpdatedAt: z.number() });

export interface SessionFile {
  /** What the file says now; null when it says nothing that can be read. */
  read(): SessionStatus | null;
  close(): void;
}

/** Watches the session file of the claude with this process id. */
export function watchSessionFile(
  pid: number,
  env: Record<string, string | undefined>,
  onStatus: (status: SessionStatus) => void,
): SessionFile {
  const folder = join(configFolder(env), "sessions");
  const name = `${pid}.json`;
  const read = (): SessionStatus | null => {
    try {
      const { status, statusUpdatedAt } = session.parse(JSON.parse(readFileSync(join(folder, name), "utf8")));
      return { status, since: statusUpdatedAt };
    } catch {
      // Not there, or half written: the next change announces itself.
      return null;
    }
  };
  let watching: Watch | undefined;
  if (existsSync(folder)) {
    watching = watchChanges(
      folder,
      () => {
        const status = read();
        if (status) onStatus(status);
      },
      name,
    );
  }
  return { read, close: () => watching?.close() };
}
