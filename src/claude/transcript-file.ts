/**
 * Reads transcripts from the disk. Their paths come from hooks, and Claude can put anything in their place, so only
 * regular files below Claude's projects folder are read, in bounded pieces between which the server does other work.
 */
import { closeSync, fstatSync, readSync, realpathSync, statSync } from "node:fs";
import { basename, dirname, join, sep } from "node:path";
import { getLogger } from "@logtape/logtape";
import { openRegularFile } from "../core/regular-file.ts";

const log = getLogger(["synthesis", "transcript"]);

const PIECE_BYTES = 2 * 1024 * 1024;
/** One reading covers the last so many bytes: thousands of turns, or a turn with a hundred screenshots. */
const MAX_READING_BYTES = 256 * 1024 * 1024;
/** The rows that a reading keeps, in bytes; the oldest go first. A model writes less in an hour. */
const MAX_KEPT_BYTES = 16 * 1024 * 1024;
/** No prompt and no answer is longer: a frame on the bridge holds a megabyte, and a model's output not much more. */
const MAX_ROW_BYTES = 8 * 1024 * 1024;
/** A longer row is kept only if it is Claude's or a prompt. Tool results are long, and of no use here. */
const SHORT_ROW_BYTES = 64 * 1024;
const WRITTEN_BY_CLAUDE = '"type":"assistant"';
/** In every prompt of ours. */
const PROMPT_MARK = "message_id=";

const NEW_LINE = 0x0a;

/**
 * Whether a path that a hook names is a transcript's: `<projects>/<folder>/<session>.jsonl`.
 * @param projects Claude's projects folder
 */
export function isTranscriptPath(path: string, projects: string): boolean {
  const folder = dirname(path);
  if (!path.endsWith(".jsonl") || path !== join(folder, basename(path)) || path.includes("\0")) return false;
  return folder !== dirname(folder) && isSameFolder(dirname(folder), projects);
}

/** Claude Code may name the folder by its real path, and the environment by a link to it. */
function isSameFolder(one: string, other: string): boolean {
  try {
    return one === other || realpathSync(one) === realpathSync(other);
  } catch {
    // One of them does not exist.
    return false;
  }
}

/**
 * The rows of a transcript that tell about turns, as JSONL: prompts, what Claude wrote, and all that is short.
 * @param path `<projects>/<folder>/<session>.jsonl`
 * @param offset bytes of the file that are not wanted
 * @returns null while there is no such file
 * @throws when it is not a regular file below the projects folder
 */
export const readRows = (path: string, offset: number): Promise<string | null> =>
  reading(path, dirname(dirname(path)), (file) => rowsIn(file, offset, isOfUse));

/** As `readRows`, but only the rows that may be prompts of ours, from the beginning on. */
export const readPrompts = (path: string): Promise<string | null> =>
  reading(path, dirname(dirname(path)), (file) => rowsIn(file, 0, (row) => row.includes(PROMPT_MARK)));

const isOfUse = (row: Buffer): boolean =>
  row.length <= SHORT_ROW_BYTES || row.includes(WRITTEN_BY_CLAUDE) || row.includes(PROMPT_MARK);

/** As `readRows`, of a file below the folder of this transcript; null when its first bytes do not hold `mark`. */
export const readSubagentRows = (file: string, transcript: string, mark: string): Promise<string | null> =>
  reading(file, dirname(dirname(transcript)), async (descriptor) => {
    const start = Buffer.alloc(MARK_WITHIN);
    readSync(descriptor, start, 0, start.length, 0);
    return start.includes(mark) ? rowsIn(descriptor, 0, isOfUse) : null;
  });

/** In bytes. A subagent's first row begins with the prompt for which it was started. */
const MARK_WITHIN = 1024;

async function reading<T>(path: string, root: string, read: (file: number) => Promise<T>): Promise<T | null> {
  let file: number;
  try {
    // Before it is opened: opening a device can have an effect.
    requireBelow(realpathSync(path), root);
    file = openRegularFile(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw error;
  }
  try {
    requireSame(file, path, root);
    return await read(file);
  } finally {
    closeSync(file);
  }
}

function requireBelow(real: string, root: string): void {
  if (real.startsWith(realpathSync(root) + sep)) return;
  throw new Error("The transcript is not below Claude's projects folder, so it is not read.");
}

/** A folder of the path may have been swapped for a link meanwhile: the opened file itself must lie below the root. */
function requireSame(file: number, path: string, root: string): void {
  const real = realpathSync(path);
  requireBelow(real, root);
  const [opened, there] = [fstatSync(file), statSync(real)];
  if (opened.dev === there.dev && opened.ino === there.ino) return;
  throw new Error("The transcript was replaced while it was opened, so it is not read.");
}

async function rowsIn(file: number, offset: number, keeps: (row: Buffer) => boolean): Promise<string> {
  const { size } = fstatSync(file);
  const first = Math.max(offset, size - MAX_READING_BYTES);
  const rows = new Rows(keeps);
  if (first > offset)
    log.warning("transcript too large: only its last {bytes} bytes are read", { bytes: size - first });
  const piece = Buffer.allocUnsafe(Math.min(PIECE_BYTES, Math.max(size - first, 0)));
  for (let at = first; at < size; ) {
    const length = readSync(file, piece, 0, Math.min(piece.length, size - at), at);
    if (length === 0) break;
    rows.add(piece.subarray(0, length));
    at += length;
    if (at < size) await new Promise(setImmediate);
  }
  return rows.end();
}

/** The rows that are kept, from pieces of the file. */
class Rows {
  readonly #keeps: (row: Buffer) => boolean;
  readonly #kept: string[] = [];
  /** Of these so many at the beginning have been dropped. */
  #dropped = 0;
  #keptLength = 0;
  /** The row that goes on in the next piece. */
  #open: Buffer[] = [];
  #openBytes = 0;

  constructor(keeps: (row: Buffer) => boolean) {
    this.#keeps = keeps;
  }

  add(piece: Buffer): void {
    let start = 0;
    for (let end = piece.indexOf(NEW_LINE); end >= 0; end = piece.indexOf(NEW_LINE, start)) {
      this.#append(piece.subarray(start, end));
      this.#close();
      start = end + 1;
    }
    // A copy: the piece is used again.
    this.#append(Buffer.from(piece.subarray(start)));
  }

  end(): string {
    this.#close();
    if (this.#dropped > 0) log.warning("transcript too large: {rows} rows are left out", { rows: this.#dropped });
    return this.#kept.slice(this.#dropped).join("\n");
  }

  #append(part: Buffer): void {
    this.#openBytes += part.length;
    if (this.#openBytes > MAX_ROW_BYTES) this.#open = [];
    else this.#open.push(part);
  }

  #close(): void {
    const isWhole = this.#openBytes <= MAX_ROW_BYTES;
    const row = this.#open.length === 1 ? (this.#open[0] as Buffer) : Buffer.concat(this.#open);
    this.#open = [];
    this.#openBytes = 0;
    if (!isWhole || row.length === 0 || !this.#keeps(row)) return;
    const text = row.toString("utf8");
    this.#kept.push(text);
    this.#keptLength += text.length;
    for (; this.#keptLength > MAX_KEPT_BYTES; this.#dropped += 1) {
      this.#keptLength -= this.#kept[this.#dropped]?.length ?? 0;
      this.#kept[this.#dropped] = "";
    }
  }
}
