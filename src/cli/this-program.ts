/** How this program is started again. */
import { join } from "node:path";

/** Its executable and first arguments, as a binary or from its source. */
export const thisProgram = (): string[] =>
  Bun.isStandaloneExecutable ? [process.execPath] : [process.execPath, join(import.meta.dir, "../main.ts")];
