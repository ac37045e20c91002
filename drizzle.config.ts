import { defineConfig } from "drizzle-kit";
import { pathsFor } from "./src/config/paths.ts";

export default defineConfig({
  dialect: "sqlite",
  schema: "./src/store/schema.ts",
  out: "./src/store/migrations",
  dbCredentials: { url: `file:${pathsFor(process.env.SYNTHESIS_HOME).database}` },
});
