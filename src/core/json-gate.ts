/**
 * The gate in front of `JSON.parse`. A hostile text of a few hundred kilobytes can stop the process: `JSON.stringify`
 * throws on deep values, and `JSON.parse` blocks the event loop for seconds on many small values, on many field names,
 * on escapes or on one long number. The gate scans the bytes as they arrive and refuses such a text before it is parsed.
 *
 * The scan does not check the syntax: `JSON.parse` does that. Up to the first mistake in a text the two agree, and
 * `JSON.parse` reads no further than that.
 */

/** What one JSON text may hold. Each bound keeps `JSON.parse` below about 50 ms on a slow machine. */
export interface JsonBounds {
  /** Arrays and objects within each other. */
  readonly depth: number;
  /** Objects, arrays, strings, numbers and literals, all together. */
  readonly values: number;
  /** Different field names. One that is a number counts each time: the engine stores such fields the slow way. */
  readonly names: number;
  /** Bytes of one string, as they are sent. */
  readonly stringBytes: number;
  /** Bytes of one field name. */
  readonly nameBytes: number;
  /** Characters of one number. */
  readonly numberLength: number;
  /** Escaped characters, all together. */
  readonly escapes: number;
}

export const JSON_BOUNDS: JsonBounds = {
  depth: 100,
  values: 200_000,
  names: 20_000,
  // An image or a file of 10 MB in base64, with its line breaks.
  stringBytes: 20 * 1024 * 1024,
  nameBytes: 1_000,
  numberLength: 100,
  escapes: 2_000_000,
};

/** A JSON text goes beyond a bound. The message says which one, and what to do; it quotes nothing of the text. */
export class JsonRefused extends Error {
  override name = "JsonRefused";
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

/** Most strings are short: only behind so many bytes it pays to have their end looked for by native code. */
const SHORT_STRING = 48;

/** Scans one JSON text that arrives in chunks; a chunk may begin and end anywhere, in the middle of a character too. */
export class JsonGate {
  readonly #bounds: JsonBounds;
  /** For each open array or object, whether it is an object. */
  readonly #isObject: Uint8Array;
  #depth = 0;
  #values = 0;
  #escapes = 0;
  #isInString = false;
  /** The string is a field's name. */
  #isName = false;
  /** The next string in this object is a field's name. */
  #expectsName = false;
  /** The chunk before ended behind a backslash. */
  #isEscaped = false;
  #stringBytes = 0;
  /** In a number or a literal. */
  #scalarLength = 0;
  /** The beginning of a name that continues in the next chunk. */
  #nameStart = "";
  readonly #names = new Set<string>();
  #numericNames = 0;

  constructor(bounds: JsonBounds = JSON_BOUNDS) {
    this.#bounds = bounds;
    this.#isObject = new Uint8Array(bounds.depth + 1);
  }

  /** Takes the next chunk. @throws JsonRefused when the text goes beyond a bound */
  write(chunk: Uint8Array): void {
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
        // With more closing than opening brackets it is no JSON, and JSON.parse stops here.
        if (this.#depth > 0) this.#depth -= 1;
      } else this.#scalar();
    }
  }

  #countValue(): void {
    this.#values += 1;
    if (this.#values > this.#bounds.values) {
      throw new JsonRefused(`has more than ${this.#bounds.values} values. Send fewer or larger pieces.`);
    }
  }

  #open(isObject: boolean): void {
    this.#countValue();
    this.#scalarLength = 0;
    this.#depth += 1;
    if (this.#depth > this.#bounds.depth) {
      throw new JsonRefused(`is nested more than ${this.#bounds.depth} levels deep. Send it flatter.`);
    }
    this.#isObject[this.#depth] = isObject ? 1 : 0;
    this.#expectsName = isObject;
  }

  #scalar(): void {
    if (this.#scalarLength === 0) this.#countValue();
    this.#scalarLength += 1;
    if (this.#scalarLength > this.#bounds.numberLength) {
      throw new JsonRefused(`has a number of more than ${this.#bounds.numberLength} characters. Send it as a string.`);
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

  /** Goes on in a string. @returns where it ends, or the end of the chunk */
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
      throw new JsonRefused(`has a field name of more than ${nameBytes} bytes. Send shorter names.`);
    }
    if (this.#stringBytes > stringBytes) {
      throw new JsonRefused(`has a string of more than ${stringBytes} bytes. Send it in parts, or send less.`);
    }
  }

  #countEscape(): void {
    this.#escapes += 1;
    if (this.#escapes > this.#bounds.escapes) {
      throw new JsonRefused(
        `has more than ${this.#bounds.escapes} escaped characters. Send less text, or send it as plain UTF-8.`,
      );
    }
  }

  #endName(bytes: Buffer, start: number, end: number): void {
    const name = this.#nameStart + bytes.toString("latin1", start, end);
    this.#nameStart = "";
    const first = name.charCodeAt(0);
    // An escaped digit is written with a backslash.
    if ((first >= 0x30 && first <= 0x39) || first === BACKSLASH) this.#numericNames += 1;
    else this.#names.add(name);
    if (this.#names.size + this.#numericNames > this.#bounds.names) {
      throw new JsonRefused(
        `has more than ${this.#bounds.names} different field names. Send such data as text, or as arrays.`,
      );
    }
  }
}

/** Where the next quote or backslash stands, or the end of the chunk. */
function plainEnd(bytes: Buffer, from: number): number {
  // Short steps: a quote may be far behind the next backslash, and must not be looked for anew behind each of them.
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
 * `JSON.parse` behind the gate.
 * @throws JsonRefused for what goes beyond a bound, SyntaxError for what is no JSON; its message quotes the text
 */
export function parseJson(text: string, bounds: JsonBounds = JSON_BOUNDS): unknown {
  new JsonGate(bounds).write(Buffer.from(text));
  return JSON.parse(text);
}

/** Whether a text is JSON within the bounds. */
export function isJson(text: string): boolean {
  try {
    parseJson(text);
    return true;
  } catch {
    return false;
  }
}
