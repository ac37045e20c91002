/** Files that the server writes for Claude to read: images, attached files, and tool results that are too long. */
import { statSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { makeMarkedFolder, markedFolders, removeMarkedFolder } from "../claude/marked-folder.ts";

export interface AttachmentStore {
  /** Writes a file that only this user can read, under a name of its own. @returns its path */
  saveFile(claudeSession: string, content: Uint8Array | string, extension: string): string;
  /** Deletes all files of a Claude session. */
  remove(claudeSession: string): void;
  /** The Claude sessions that have files, but none written since `before` (Unix ms). */
  unusedSince(before: number): readonly string[];
}

/** @param folder where the files of all conversations are, in one folder for each Claude session */
export function createAttachmentStore(folder: string): AttachmentStore {
  const folderOf = (claudeSession: string) => join(folder, claudeSession);
  return {
    saveFile: (claudeSession, content, extension) => {
      makeMarkedFolder(folderOf(claudeSession));
      const path = join(folderOf(claudeSession), `${crypto.randomUUID()}.${extension}`);
      writeFileSync(path, content, { mode: 0o600, flag: "wx" });
      return path;
    },
    remove: (claudeSession) => removeMarkedFolder(folderOf(claudeSession)),
    unusedSince: (before) =>
      markedFolders(folder)
        .filter((path) => statSync(path).mtimeMs < before)
        .map((path) => basename(path)),
  };
}
