/** The people who watch a process's terminal. */
import type { Clock } from "../../core/clock.ts";
import type { Viewer } from "../agent-process.ts";
import { COLUMNS, ROWS } from "./screen.ts";

/**
 * How long the terminal keeps its changed size, in ms. Claude Code redraws its screen when the size changes. If both
 * changes came at once while it is busy, it would draw nothing.
 */
const RESIZED_MS = 300;

export class Viewers {
  readonly #viewers = new Set<Viewer>();
  readonly #resize: (columns: number, rows: number) => void;
  readonly #clock: Clock;
  #cancelRestore = () => {};

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
    for (const viewer of this.#viewers) viewer.draw(bytes);
  }

  /** Makes Claude Code draw its whole screen again, for a new viewer. */
  redraw(): void {
    this.#cancelRestore();
    this.#resize(COLUMNS - 1, ROWS);
    this.#cancelRestore = this.#clock.after(RESIZED_MS, () => this.#resize(COLUMNS, ROWS));
  }

  /** The process has exited. */
  end(): void {
    this.#cancelRestore();
    for (const viewer of this.#viewers) viewer.end();
  }
}
