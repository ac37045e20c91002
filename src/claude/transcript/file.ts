/**
 * Reads the rows of a transcript from the disk. The path comes from a hook, and Claude can replace the file by anything,
 * so only regular files below Claude Code's projects folder are read. A large file is read in chunks, so that the server
 * can do other work in between.
 */
import { closeSync, constants, fstatSync, openSync, readlinkSync, readSync, realpathSync, statSync } from "node:fs";
import { dirname, sep } from "node:path";
import { getLogger } from "@logtape/logtape";
import { openRegularFile } from "../../core/regular-file.ts";
import { mayBePrompt } from "./rows.ts";

const log = getLogger(["synthesis", "transcript"]);

const CHUNK_BYTES = 2 * 1024 * 1024;
/** Only the end of a file is read: enough for thousands of turns, or for a turn with a hundred screenshots. */
const MAX_READ_BYTES = 256 * 1024 * 1024;
/** The newest rows are kept up to this size. A model writes less than that in an hour. */
const MAX_KEPT_BYTES = 16 * 1024 * 1024;
/** No prompt and no answer is longer: a frame from the plugin holds a megabyte, a model's output not much more. */
const MAX_ROW_BYTES = 8 * 1024 * 1024;
/** Longer rows are kept only if they are a prompt or Claude's. Most others are tool results, which nothing here reads. */
const SHORT_ROW_BYTES = 64 * 1024;
const ASSISTANT_ROW = '"type":"assistant"';
/** A sub-agent's first row begins with the prompt for which it was started. */
const SUBAGENT_PROMPT_WITHIN_BYTES = 1024;

const NEW_LINE = 0x0a;

/**
 * The rows of a transcript that tell about turns, as JSONL: prompts, Claude's messages, and every short row.
 * @param path `<projects>/<folder>/<session>.jsonl`
 * @param offset number of bytes to skip at the beginning of the file
 * @returns null while there is no such file
 * @throws when it is not a regular file below the projects folder
 */
export const readRows = (path: string, offset: number): Promise<string | null> =>
  withTranscriptFile(path, dirname(dirname(path)), (file) => rowsIn(file, offset, tellsAboutTurns));

/** Like `readRows`, but only the rows that may be prompts from synthesis, from the beginning of the file. */
export const readPrompts = (path: string): Promise<string | null> =>
  withTranscriptFile(path, dirname(dirname(path)), (file) => rowsIn(file, 0, mayBePrompt));

/** How much of the end of a file is searched for that row, and then how much more of it. */
const COST_ROW_WITHIN_BYTES = [CHUNK_BYTES, 12 * CHUNK_BYTES];
const COST_ROW = '{"type":"cost-state"';

/**
 * The newest row with what the session has used, as JSON; null while there is no such file. A process writes it when it
 * exits, so it is near the end of the file. Empty when it is not: a process that was killed writes none, and looking for
 * an older one in a long file would delay the next turn.
 */
export const readCostRow = (path: string): Promise<string | null> =>
  withTranscriptFile(path, dirname(dirname(path)), async (file) => {
    const { size } = fstatSync(file);
    const isCost = (row: Buffer) => row.subarray(0, COST_ROW.length).equals(Buffer.from(COST_ROW));
    for (const bytes of COST_ROW_WITHIN_BYTES) {
      const rows = await rowsIn(file, Math.max(0, size - bytes), isCost);
      if (rows !== "") return rows.trim().split("\n").at(-1) ?? "";
    }
    return "";
  });

/**
 * Like `readRows`, for the file of one sub-agent.
 * @param transcript the transcript of its session
 * @param promptMark text that the sub-agent's first prompt must contain
 * @returns null when it does not
 */
export const readSubagentRows = (file: string, transcript: string, promptMark: string): Promise<string | null> =>
  withTranscriptFile(file, dirname(dirname(transcript)), async (descriptor) => {
    const start = Buffer.alloc(SUBAGENT_PROMPT_WITHIN_BYTES);
    readSync(descriptor, start, 0, start.length, 0);
    return start.includes(promptMark) ? rowsIn(descriptor, 0, tellsAboutTurns) : null;
  });

const tellsAboutTurns = (row: Buffer): boolean =>
  row.length <= SHORT_ROW_BYTES || row.includes(ASSISTANT_ROW) || mayBePrompt(row);

/**
 * Opens a file that Claude can replace, and reads it.
 * @param root the folder below which it must be
 * @param read gets its descriptor, which is closed afterwards
 * @returns null while there is no such file
 * @throws when it is not a regular file below that folder
 */
export async function withTranscriptFile<T>(
  path: string,
  root: string,
  read: (file: number) => Promise<T>,
): Promise<T | null> {
  let file: number;
  try {
    file = process.platform === "linux" ? openBelow(path, root) : openAndCompare(path, root);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw error;
  }
  try {
    return await read(file);
  } finally {
    closeSync(file);
  }
}

/** The real paths that projects folders have had. To ask for one takes a third of the time that opening a file takes. */
const realRoots = new Map<string, string>();

function requireBelow(real: string, root: string): void {
  const known = realRoots.get(root);
  if (known !== undefined && real.startsWith(known + sep)) return;
  const current = realpathSync.native(root);
  realRoots.set(root, current);
  if (real.startsWith(current + sep)) return;
  throw new Error("The transcript is not below Claude Code's projects folder, so it was not read.");
}

/** Linux's O_PATH, which Node's constants lack: it opens a file without any effect on a device or a FIFO. */
const O_PATH = 0o10000000;

/** Asks the system where the opened file is, so that nothing can be replaced between the check and the opening. */
function openBelow(path: string, root: string): number {
  const place = openSync(path, O_PATH | constants.O_NOFOLLOW);
  try {
    const opened = `/proc/self/fd/${place}`;
    requireBelow(readlinkSync(opened), root);
    if (!fstatSync(place).isFile()) throw new Error("The transcript is not a regular file, so it was not read.");
    return openSync(opened, constants.O_RDONLY);
  } finally {
    closeSync(place);
  }
}

/** The same where the system does not tell: the path is checked before the file is opened, and again afterwards. */
function openAndCompare(path: string, root: string): number {
  requireBelow(realpathSync(path), root);
  const file = openRegularFile(path);
  try {
    requireSame(file, path, root);
    return file;
  } catch (error) {
    closeSync(file);
    throw error;
  }
}

/** A folder of the path may have been replaced by a link since the check, so the opened file itself is checked again. */
function requireSame(file: number, path: string, root: string): void {
  const real = realpathSync(path);
  requireBelow(real, root);
  const [opened, current] = [fstatSync(file), statSync(real)];
  if (opened.dev === current.dev && opened.ino === current.ino) return;
  throw new Error("The transcript was replaced while it was opened, so it was not read.");
}

async function rowsIn(file: number, offset: number, keeps: (row: Buffer) => boolean): Promise<string> {
  const { size } = fstatSync(file);
  const first = Math.max(offset, size - MAX_READ_BYTES);
  const rows = new RowCollector(keeps);
  if (first > offset) log.warning("transcript too large: read only its last {bytes} bytes", { bytes: size - first });
  const chunk = Buffer.allocUnsafe(Math.min(CHUNK_BYTES, Math.max(size - first, 0)));
  for (let at = first; at < size; ) {
    const length = readSync(file, chunk, 0, Math.min(chunk.length, size - at), at);
    if (length === 0) break;
    rows.add(chunk.subarray(0, length));
    at += length;
    if (at < size) await new Promise(setImmediate);
  }
  return rows.end();
}

/** Splits chunks of a file into rows and keeps those that are wanted, up to `MAX_KEPT_BYTES`. */
class RowCollector {
  readonly #keeps: (row: Buffer) => boolean;
  readonly #kept: string[] = [];
  /** How many rows at the start of `#kept` have been dropped. */
  #dropped = 0;
  #keptLength = 0;
  /** The parts of the row that continues in the next chunk. */
  #open: Buffer[] = [];
  #openBytes = 0;

  constructor(keeps: (row: Buffer) => boolean) {
    this.#keeps = keeps;
  }

  add(chunk: Buffer): void {
    let start = 0;
    for (let end = chunk.indexOf(NEW_LINE); end >= 0; end = chunk.indexOf(NEW_LINE, start)) {
      this.#append(chunk.subarray(start, end));
      this.#closeRow();
      start = end + 1;
    }
    // Copied, because the caller reuses the chunk's memory.
    this.#append(Buffer.from(chunk.subarray(start)));
  }

  /** The kept rows as JSONL. */
  end(): string {
    this.#closeRow();
    if (this.#dropped > 0) log.warning("transcript too large: dropped {rows} rows", { rows: this.#dropped });
    return this.#kept.slice(this.#dropped).join("\n");
  }

  #append(part: Buffer): void {
    this.#openBytes += part.length;
    if (this.#openBytes > MAX_ROW_BYTES) this.#open = [];
    else this.#open.push(part);
  }

  #closeRow(): void {
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
