/** Writes the files of the page into a folder, which the binary then contains. `bun run build` runs this first. */
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { bundlePage } from "./page-bundle.ts";

const folder = join(import.meta.dir, "../../dist/page");
rmSync(folder, { recursive: true, force: true });
mkdirSync(folder, { recursive: true });
for (const [name, bytes] of await bundlePage()) writeFileSync(join(folder, name), bytes);
