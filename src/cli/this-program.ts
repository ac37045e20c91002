/** How this program is started again. */
import { join } from "node:path";

/**
 * In the current folder, which may be a workspace, Bun runs the `preload` of a `bunfig.toml`, reads `.env` files, and
 * follows the `paths` of a `tsconfig.json`. The binary is built without them.
 */
const IGNORE_CURRENT_FOLDER = ["--config=/dev/null", "--no-env-file", "--tsconfig-override=/dev/null"];

/** Its executable and first arguments, as a binary or from its source. */
export const thisProgram = (): string[] =>
  Bun.isStandaloneExecutable
    ? [process.execPath]
    : [process.execPath, ...IGNORE_CURRENT_FOLDER, join(import.meta.dir, "../main.ts")];
