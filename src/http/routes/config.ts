/** `/v1/config`: how the running configuration differs from its file, and changes of the allowed roots. */
import { Hono } from "hono";
import type { RunningConfig } from "../../config/running-config.ts";
import { type AllowedRoots, type ConfigDifference, rootsChange } from "../../wire/config.ts";
import type { Env } from "../env.ts";
import { validJson } from "../validation.ts";

export const configRoutes = (running: RunningConfig): Hono<Env> =>
  new Hono<Env>()
    .get("/", (c) => {
      const { settings, problem } = running.difference();
      return c.json({ object: "config", changed: settings, problem } satisfies ConfigDifference);
    })
    .post("/roots", validJson(rootsChange), (c) => {
      running.changeRoots(c.req.valid("json"));
      return c.json({ allowed_roots: running.config.allowedRoots } satisfies AllowedRoots);
    });
