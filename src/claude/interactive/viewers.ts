/** The people who watch a process's terminal. */
import type { Clock } from "../../core/clock.ts";
import type { Viewer } from "../agent-process.ts";
import { COLUMNS, ROWS } from "./screen.ts";

/**
 * How long the terminal keeps its changed size, in ms. Claude Code redraws its screen when the size changes. If it saw
 * both changes at once, because it is busy or the machine is, it would draw nothing.
 */
const RESIZED_MS = 300;
/** After this time, in ms, the terminal gets its own size back although Claude Code has drawn nothing. */
const MAX_RESIZED_MS = 10_000;

export class Viewers {
  readonly #viewers = new Set<Viewer>();
  readonly #resize: (columns: number, rows: number) => void;
  readonly #clock: Clock;
  #cancelRestore = () => {};
  /** Is called for each output. */
  #noteOutput = () => {};

  constructor(resize: (columns: number, rows: number) => void, clock: Clock) {
    this.#resize = resize;
    this.#clock = clock;
  }

  /** Adds a viewer. @returns a function that removes it and returns how many are left */
  add(viewer: Viewer): () => number {
    this.#viewers.add(viewer);
    return () => {
      this.#viewers.delete(viewer);
      return this.#viewers.size;
    };
  }

  draw(bytes: Uint8Array): void {
    this.#noteOutput();
    for (const viewer of this.#viewers) viewer.draw(bytes);
  }

  /** Makes Claude Code draw its whole screen again, for a new viewer. */
  redraw(): void {
    this.#cancelRestore();
    this.#resize(COLUMNS - 1, ROWS);
    let hasDrawn = false;
    let isTime = false;
    const cancels = [
      this.#clock.after(RESIZED_MS, () => {
        isTime = true;
        if (hasDrawn) restore();
      }),
      this.#clock.after(MAX_RESIZED_MS, () => restore()),
    ];
    this.#noteOutput = () => {
      hasDrawn = true;
      if (isTime) restore();
    };
    this.#cancelRestore = () => {
      for (const cancel of cancels) cancel();
      this.#noteOutput = () => {};
    };
    const restore = () => {
      this.#cancelRestore();
      this.#resize(COLUMNS, ROWS);
    };
  }

  /** The process has exited. */
  end(): void {
    this.#cancelRestore();
    for (const viewer of this.#viewers) viewer.end();
  }
}
