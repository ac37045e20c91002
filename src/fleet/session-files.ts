/**
 * The files of Claude sessions on this node's disk: transcripts, records of subagents, and attachments. Their new bytes
 * go to Postgres with the rows of a turn, and a new owner writes them to its own disk before Claude resumes the session.
 */
import { existsSync, fstatSync, readSync } from "node:fs";
import { mkdir, open, readdir, rm } from "node:fs/promises";
import { dirname, join, relative, sep } from "node:path";
import { setImmediate } from "node:timers/promises";
import { getLogger } from "@logtape/logtape";
import { withTranscriptFile } from "../claude/transcript/file.ts";
import { findTranscript, sessionFolderOf } from "../claude/transcript/location.ts";

const log = getLogger(["synthesis", "fleet"]);

/** A file, and the place of a piece in it. */
export interface PieceKey {
  readonly claudeSession: string;
  /** `transcript/…` below Claude Code's projects folder, or `attachment/…` below the folder of attachments. */
  readonly path: string;
  readonly seq: number;
}

export interface FilePiece extends PieceKey {
  /** Compressed with zstd. */
  readonly bytes: Uint8Array;
}

/** What Postgres has of a file. */
interface StoredFile {
  readonly inode: number;
  /** In bytes. */
  readonly size: number;
  /** A hash of the last bytes before that. */
  readonly tail: number | bigint;
  /** Its first piece that counts, and the one after its last. */
  readonly firstSeq: number;
  readonly nextSeq: number;
}

interface SessionFileChanges {
  readonly pieces: readonly FilePiece[];
  /** Files that were written anew, with the first piece that counts. */
  readonly rewritten: readonly PieceKey[];
  /** What Postgres has after they are stored, for `noteStored`. */
  readonly stored: ReadonlyMap<string, StoredFile>;
}

export interface SessionFiles {
  /** What Postgres does not have yet of the files of these Claude sessions. */
  changes(claudeSessions: readonly string[]): Promise<SessionFileChanges>;
  noteStored(changes: Pick<SessionFileChanges, "stored">): void;
  /** Replaces the files of a Claude session by those in Postgres. @param pieces in order */
  restore(claudeSession: string, pieces: readonly FilePiece[]): Promise<void>;
  /** Forgets what Postgres has. The files stay. */
  forget(claudeSession: string): void;
}

/** Before compression. */
const PIECE_BYTES = 1024 * 1024;
/** Claude Code appends to a transcript. A file whose last bytes are others than before was written anew. */
const TAIL_BYTES = 4096;
/** A file in more pieces is stored anew, so that restoring it stays fast. */
const MAX_PIECES = 2_000;

/** @param folders Claude Code's projects folder, and that of the attachments */
export function createSessionFiles(
  folders: { readonly projects: string; readonly attachments: string },
  env: Record<string, string | undefined>,
): SessionFiles {
  /** By `nameOf`. */
  const known = new Map<string, StoredFile>();
  /** The paths of transcripts, by Claude session: to find one, all projects are searched. */
  const transcripts = new Map<string, string>();
  const roots = { transcript: folders.projects, attachment: folders.attachments };

  async function transcriptOf(claudeSession: string): Promise<string | null> {
    const found = transcripts.get(claudeSession);
    if (found !== undefined && existsSync(found)) return found;
    const transcript = await findTranscript(claudeSession, env);
    if (transcript) transcripts.set(claudeSession, transcript);
    return transcript;
  }

  async function filesOf(claudeSession: string): Promise<{ path: string; file: string; root: string }[]> {
    const transcript = await transcriptOf(claudeSession);
    const records = transcript ? await filesBelow(sessionFolderOf(transcript)) : [];
    const attachments = await filesBelow(join(folders.attachments, claudeSession));
    const named = (kind: keyof typeof roots) => (file: string) => ({
      path: `${kind}/${relative(roots[kind], file).split(sep).join("/")}`,
      file,
      root: roots[kind],
    });
    return [
      ...(transcript ? [transcript, ...records] : []).map(named("transcript")),
      ...attachments.map(named("attachment")),
    ];
  }

  /** @throws Error for a path that would lead out of its folder */
  function fileOf(path: string): string {
    const [kind = "", ...rest] = path.split("/");
    const root = roots[kind as keyof typeof roots];
    if (!root || rest.length === 0 || rest.some((part) => ["", ".", ".."].includes(part))) {
      throw new Error("a file in the database has an invalid path");
    }
    return join(root, ...rest);
  }

  return {
    changes: async (claudeSessions) => {
      const pieces: FilePiece[] = [];
      const rewritten: PieceKey[] = [];
      const stored = new Map<string, StoredFile>();
      for (const claudeSession of claudeSessions) {
        for (const { path, file, root } of await filesOf(claudeSession)) {
          const name = nameOf({ claudeSession, path });
          const before = known.get(name);
          const read = await tryReadNew(file, root, before);
          if (!read) continue;
          const nextSeq = before?.nextSeq ?? 0;
          if (before && read.isWhole) rewritten.push({ claudeSession, path, seq: nextSeq });
          const compressed = await Promise.all(read.chunks.map((chunk) => Bun.zstdCompress(chunk)));
          for (const [at, bytes] of compressed.entries()) {
            pieces.push({ claudeSession, path, seq: nextSeq + at, bytes });
          }
          const firstSeq = before && !read.isWhole ? before.firstSeq : nextSeq;
          stored.set(name, { ...read.state, firstSeq, nextSeq: nextSeq + compressed.length });
        }
      }
      return { pieces, rewritten, stored };
    },
    noteStored: ({ stored }) => {
      for (const [name, file] of stored) known.set(name, file);
    },
    restore: async (claudeSession, pieces) => {
      for (const [path, ofFile] of Map.groupBy(pieces, (piece) => piece.path)) {
        const file = fileOf(path);
        await mkdir(dirname(file), { recursive: true, mode: 0o700 });
        // A new file, so that an old `claude` that still has the last one open cannot write into this one.
        await rm(file, { force: true });
        const handle = await open(file, "wx+", 0o600);
        try {
          for (const { bytes } of ofFile)
            await handle.write(await Bun.zstdDecompress(bytes as Uint8Array<ArrayBuffer>));
          const { size, ino } = await handle.stat();
          const [firstSeq, nextSeq] = [ofFile[0]?.seq ?? 0, (ofFile.at(-1)?.seq ?? -1) + 1];
          const tail = tailOf(handle.fd, size);
          known.set(nameOf({ claudeSession, path }), { inode: ino, size, tail, firstSeq, nextSeq });
        } finally {
          await handle.close();
        }
      }
    },
    forget: (claudeSession) => {
      for (const name of known.keys()) if (name.startsWith(`${claudeSession}\0`)) known.delete(name);
      transcripts.delete(claudeSession);
    },
  };
}

const nameOf = ({ claudeSession, path }: Omit<PieceKey, "seq">): string => `${claudeSession}\0${path}`;

async function filesBelow(folder: string): Promise<string[]> {
  if (!existsSync(folder)) return [];
  const entries = await readdir(folder, { withFileTypes: true, recursive: true });
  return entries.filter((entry) => entry.isFile()).map(({ parentPath, name }) => join(parentPath, name));
}

interface NewBytes {
  readonly chunks: readonly Uint8Array<ArrayBuffer>[];
  /** They begin at the start of the file. */
  readonly isWhole: boolean;
  readonly state: Omit<StoredFile, "firstSeq" | "nextSeq">;
}

/**
 * What a file has beyond what was stored; null when there is nothing new. A file that Claude has replaced by a link, or by
 * another thing that is no file of the session, is left out: the next node would show its content to Claude.
 */
async function tryReadNew(file: string, root: string, before: StoredFile | undefined): Promise<NewBytes | null> {
  try {
    return await withTranscriptFile(file, root, (descriptor) => readNew(descriptor, file.endsWith(".jsonl"), before));
  } catch (error) {
    log.warning("a file of a session is not recorded: {error}", { error });
    return null;
  }
}

/** @param hasRows an incomplete row at its end is left for the next time */
async function readNew(file: number, hasRows: boolean, before: StoredFile | undefined): Promise<NewBytes | null> {
  const { size, ino } = fstatSync(file);
  const isAppended =
    before !== undefined &&
    before.inode === ino &&
    before.size <= size &&
    before.nextSeq - before.firstSeq < MAX_PIECES &&
    before.tail === tailOf(file, before.size);
  if (isAppended && before.size === size) return null;
  const from = isAppended ? before.size : 0;
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  for (let at = from; at < size; at += PIECE_BYTES) {
    if (chunks.length > 0) await setImmediate();
    chunks.push(bytesAt(file, at, Math.min(PIECE_BYTES, size - at)));
  }
  const until = hasRows ? endOfLastRow(chunks, size) : size;
  if (until <= from) return null;
  return { chunks, isWhole: !isAppended, state: { inode: ino, size: until, tail: tailOf(file, until) } };
}

/**
 * Cuts the last chunk after its last whole row: Claude may be writing the next one.
 * @returns the size of the file until there
 */
function endOfLastRow(chunks: Uint8Array<ArrayBuffer>[], size: number): number {
  let end = size;
  for (let last = chunks.pop(); last; last = chunks.pop()) {
    const newline = last.lastIndexOf(NEWLINE);
    if (newline >= 0) {
      chunks.push(last.subarray(0, newline + 1));
      return end - last.length + newline + 1;
    }
    end -= last.length;
  }
  return end;
}

const NEWLINE = 10;

/** Fewer than `length` bytes if the file has become shorter. */
function bytesAt(file: number, at: number, length: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  return bytes.subarray(0, readSync(file, bytes, 0, length, at));
}

function tailOf(file: number, size: number): number | bigint {
  const length = Math.min(TAIL_BYTES, size);
  return Bun.hash(bytesAt(file, size - length, length));
}
