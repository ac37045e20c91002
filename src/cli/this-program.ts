/** The command that starts this program again. */
import { join } from "node:path";

/**
 * The current folder may be a workspace, in which other people can write. There Bun would run the `preload` of a
 * `bunfig.toml`, read `.env` files and follow the `paths` of a `tsconfig.json`. The compiled binary does not.
 */
const IGNORE_CURRENT_FOLDER = ["--config=/dev/null", "--no-env-file", "--tsconfig-override=/dev/null"];

/** The executable and its first arguments, for the compiled binary or for the source. */
export const thisProgram = (): string[] =>
  Bun.isStandaloneExecutable
    ? [process.execPath]
    : [process.execPath, ...IGNORE_CURRENT_FOLDER, join(import.meta.dir, "../main.ts")];
