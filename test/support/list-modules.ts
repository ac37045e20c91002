/** A preload for the program under test: when it exits, it lists the modules that it has loaded in the file LOADED_MODULES. */
import { writeFileSync } from "node:fs";

process.on("exit", () => {
  writeFileSync(process.env.LOADED_MODULES ?? "", Object.keys(require.cache).join("\n"));
});
