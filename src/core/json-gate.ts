/**
 * Protects `JSON.parse` from hostile input. A text of a few hundred kilobytes can stop the server: `JSON.parse` blocks
 * the event loop for seconds on many small values, many field names, many escapes or one long number, and
 * `JSON.stringify` throws on deeply nested values. The gate scans the bytes as they arrive and rejects such a text
 * before it is parsed.
 *
 * The scan does not check the syntax. It agrees with `JSON.parse` up to the first syntax error, where `JSON.parse` stops.
 */

/** The bounds of one JSON text. Each of them keeps `JSON.parse` below about 50 ms on a slow machine. */
export interface JsonBounds {
  /** Levels of nested arrays and objects. */
  readonly depth: number;
  /** All objects, arrays, strings, numbers and literals. */
  readonly values: number;
  /** Different field names. A numeric name counts each time it occurs, because the engine stores such fields slowly. */
  readonly names: number;
  /** Bytes of one string, escapes included. */
  readonly stringBytes: number;
  /** Bytes of one field name. */
  readonly nameBytes: number;
  /** Characters of one number. */
  readonly numberLength: number;
  /** All escaped characters. */
  readonly escapes: number;
}

export const JSON_BOUNDS: JsonBounds = {
  depth: 100,
  values: 200_000,
  names: 20_000,
  // Enough for an image or a file of 10 MB in base64 with line breaks.
  stringBytes: 20 * 1024 * 1024,
  nameBytes: 1_000,
  numberLength: 100,
  escapes: 2_000_000,
};

/**
 * A JSON text exceeds a bound. The message is a predicate that says which bound, and what to do. It never quotes the text.
 */
export class JsonRejected extends Error {
  override name = "JsonRejected";
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const COMMA = 0x2c;
const COLON = 0x3a;
const SPACE = 0x20;

/** The fewest bytes that one field takes: two quotes, a colon and a value. */
const FIELD_BYTES = 4;

/** Most strings are short. A native search for the end of a string pays off only after this many bytes. */
const SHORT_STRING = 48;

/** Scans one JSON text that arrives in chunks. A chunk may begin and end anywhere, even within a character. */
export class JsonGate {
  readonly #bounds: JsonBounds;
  /** Whether each open level is an object; otherwise it is an array. */
  readonly #isObject: Uint8Array;
  #depth = 0;
  #values = 0;
  #escapes = 0;
  #isInString = false;
  /** The current string is a field name. */
  #isName = false;
  /** The next string is a field name. */
  #expectsName = false;
  /** The last character was a backslash in a string. */
  #isEscaped = false;
  #stringBytes = 0;
  /** Characters of the current number or literal so far. */
  #scalarLength = 0;
  /** The part of the current field name that was in earlier chunks. */
  #nameStart = "";
  readonly #names = new Set<string>();
  #numericNames = 0;
  /** Names are not counted in a text that is too short for too many of them: collecting them costs most of the scan. */
  #countsNames = true;

  constructor(bounds: JsonBounds = JSON_BOUNDS) {
    this.#bounds = bounds;
    this.#isObject = new Uint8Array(bounds.depth + 1);
  }

  /**
   * Scans the next chunk.
   * @param isWhole the chunk is the whole text
   * @throws JsonRejected if the text exceeds a bound
   */
  write(chunk: Uint8Array, isWhole = false): void {
    this.#countsNames = !isWhole || chunk.length > this.#bounds.names * FIELD_BYTES;
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    let at = 0;
    while (at < bytes.length) {
      if (this.#isInString) {
        at = this.#string(bytes, at);
        continue;
      }
      const byte = bytes[at] as number;
      at += 1;
      if (byte <= SPACE || byte === COLON) this.#scalarLength = 0;
      else if (byte === COMMA) {
        this.#scalarLength = 0;
        this.#expectsName = this.#isObject[this.#depth] === 1;
      } else if (byte === QUOTE) this.#openString();
      else if (byte === OPEN_BRACE || byte === OPEN_BRACKET) this.#open(byte === OPEN_BRACE);
      else if (byte === CLOSE_BRACE || byte === CLOSE_BRACKET) {
        this.#scalarLength = 0;
        this.#expectsName = false;
        // A closing bracket without an opening one is a syntax error, at which JSON.parse stops.
        if (this.#depth > 0) this.#depth -= 1;
      } else this.#scalar();
    }
  }

  #countValue(): void {
    this.#values += 1;
    if (this.#values > this.#bounds.values) {
      throw new JsonRejected(`has more than ${this.#bounds.values} values. Send fewer values.`);
    }
  }

  #open(isObject: boolean): void {
    this.#countValue();
    this.#scalarLength = 0;
    this.#depth += 1;
    if (this.#depth > this.#bounds.depth) {
      throw new JsonRejected(`is nested more than ${this.#bounds.depth} levels deep. Send a flatter structure.`);
    }
    this.#isObject[this.#depth] = isObject ? 1 : 0;
    this.#expectsName = isObject;
  }

  #scalar(): void {
    if (this.#scalarLength === 0) this.#countValue();
    this.#scalarLength += 1;
    if (this.#scalarLength > this.#bounds.numberLength) {
      throw new JsonRejected(`has a number of more than ${this.#bounds.numberLength} characters. Send it as a string.`);
    }
  }

  #openString(): void {
    this.#isInString = true;
    this.#isName = this.#expectsName;
    this.#expectsName = false;
    this.#stringBytes = 0;
    this.#scalarLength = 0;
    if (!this.#isName) this.#countValue();
  }

  /** Scans the rest of a string. @returns the index after it, or the end of the chunk */
  #string(bytes: Buffer, start: number): number {
    let at = start;
    let untilNative = SHORT_STRING;
    while (at < bytes.length) {
      if (this.#isEscaped) {
        this.#isEscaped = false;
        at += 1;
        continue;
      }
      const byte = bytes[at] as number;
      if (byte === QUOTE) {
        this.#countBytes(at - start);
        if (this.#isName) this.#endName(bytes, start, at);
        this.#isInString = false;
        return at + 1;
      }
      if (byte === BACKSLASH) {
        this.#countEscape();
        this.#isEscaped = true;
        untilNative = SHORT_STRING;
      } else {
        untilNative -= 1;
        if (untilNative === 0) {
          at = plainEnd(bytes, at);
          untilNative = SHORT_STRING;
          continue;
        }
      }
      at += 1;
    }
    this.#countBytes(bytes.length - start);
    if (this.#isName) this.#nameStart += bytes.toString("latin1", start, bytes.length);
    return bytes.length;
  }

  #countBytes(count: number): void {
    this.#stringBytes += count;
    const { nameBytes, stringBytes } = this.#bounds;
    if (this.#isName && this.#stringBytes > nameBytes) {
      throw new JsonRejected(`has a field name of more than ${nameBytes} bytes. Send shorter names.`);
    }
    if (this.#stringBytes > stringBytes) {
      throw new JsonRejected(`has a string of more than ${stringBytes} bytes. Send it in parts or shorten it.`);
    }
  }

  #countEscape(): void {
    this.#escapes += 1;
    if (this.#escapes > this.#bounds.escapes) {
      throw new JsonRejected(
        `has more than ${this.#bounds.escapes} escaped characters. Send less text, or send it as plain UTF-8.`,
      );
    }
  }

  #endName(bytes: Buffer, start: number, end: number): void {
    if (!this.#countsNames) return;
    const name = this.#nameStart + bytes.toString("latin1", start, end);
    this.#nameStart = "";
    const first = name.charCodeAt(0);
    // A name that begins with an escape may be numeric, too.
    if ((first >= 0x30 && first <= 0x39) || first === BACKSLASH) this.#numericNames += 1;
    else this.#names.add(name);
    if (this.#names.size + this.#numericNames > this.#bounds.names) {
      throw new JsonRejected(
        `has more than ${this.#bounds.names} different field names. Send such data as text or as arrays.`,
      );
    }
  }
}

/** The index of the next quote or backslash, or the end of the chunk. */
function plainEnd(bytes: Buffer, from: number): number {
  // Short steps keep the search linear. Otherwise each backslash could cause a new search for a quote that is far away.
  for (let at = from; at < bytes.length; at += NATIVE_STEP) {
    const step = bytes.subarray(at, at + NATIVE_STEP);
    const quote = step.indexOf(QUOTE);
    const backslash = (quote < 0 ? step : step.subarray(0, quote)).indexOf(BACKSLASH);
    if (backslash >= 0) return at + backslash;
    if (quote >= 0) return at + quote;
  }
  return bytes.length;
}

const NATIVE_STEP = 4096;

/**
 * Parses JSON that passes the gate.
 * @throws JsonRejected if the text exceeds a bound, SyntaxError if it is not valid JSON; the latter's message quotes the text
 */
export function parseJson(text: string, bounds: JsonBounds = JSON_BOUNDS): unknown {
  new JsonGate(bounds).write(Buffer.from(text), true);
  return JSON.parse(text);
}
