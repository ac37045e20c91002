import { defineConfig } from "drizzle-kit";
import { pathsFor } from "./src/config/paths.ts";

const { SYNTHESIS_DATABASE: postgres, SYNTHESIS_HOME: home } = process.env;

export default postgres
  ? defineConfig({
      dialect: "postgresql",
      schema: "./src/store/postgres/tables.ts",
      out: "./src/store/postgres/fleet-migrations",
      dbCredentials: { url: postgres },
    })
  : defineConfig({
      dialect: "sqlite",
      schema: "./src/store/schema.ts",
      out: "./src/store/migrations",
      dbCredentials: { url: `file:${pathsFor(home).database}` },
    });
