/** The time for texts such as "5 min ago". It advances only while the page can be seen. */
import { signal } from "@preact/signals";

const STEP_MS = 10_000;

export const now = signal(Date.now());

export function followTime(): void {
  const advance = () => {
    if (!document.hidden) now.value = Date.now();
  };
  setInterval(advance, STEP_MS);
  document.addEventListener("visibilitychange", advance);
}
