/** How this program is started again. */
import { join } from "node:path";

/**
 * Bun runs the `preload` of a `bunfig.toml` and reads `.env` files in the current folder, which may be a workspace.
 * The binary is built without both.
 */
const IGNORE_CURRENT_FOLDER = ["--config=/dev/null", "--no-env-file"];

/** Its executable and first arguments, as a binary or from its source. */
export const thisProgram = (): string[] =>
  Bun.isStandaloneExecutable
    ? [process.execPath]
    : [process.execPath, ...IGNORE_CURRENT_FOLDER, join(import.meta.dir, "../main.ts")];
