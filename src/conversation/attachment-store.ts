/** The images of a conversation, and what else is given to claude as files to read, under names of our own. */
import { statSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { makeMarkedFolder, markedFolders, removeMarkedFolder } from "../claude/marked-folder.ts";

export interface AttachmentStore {
  /** Writes one file (0600). @returns its path */
  saveFile(claudeSession: string, content: Uint8Array | string, extension: string): string;
  /** Removes all that came with a session. */
  remove(claudeSession: string): void;
  /** The sessions with which something came, but nothing since `before`. */
  unusedSince(before: number): readonly string[];
}

/** @param folder for those of all conversations; one below it for each claude session */
export function createAttachmentStore(folder: string): AttachmentStore {
  return {
    saveFile: (claudeSession, content, extension) => {
      const own = join(folder, claudeSession);
      makeMarkedFolder(own);
      const path = join(own, `${crypto.randomUUID()}.${extension}`);
      writeFileSync(path, content, { mode: 0o600, flag: "wx" });
      return path;
    },
    remove: (claudeSession) => removeMarkedFolder(join(folder, claudeSession)),
    unusedSince: (before) =>
      markedFolders(folder)
        .filter((own) => statSync(own).mtimeMs < before)
        .map((own) => basename(own)),
  };
}
