/** `/v1/config`: what of a running server's configuration may change, and whether the file says something else by now. */
import { isAbsolute } from "node:path";
import { Hono } from "hono";
import { z } from "zod";
import type { RunningConfig } from "../../config/running-config.ts";
import { validJson } from "../validation.ts";

const root = z.string().refine((path) => isAbsolute(path), "must be an absolute path");
const rootsChange = z.strictObject({ add: z.array(root).default([]), remove: z.array(root).default([]) });

export const configRoutes = (running: RunningConfig) =>
  new Hono()
    .get("/", (c) => {
      const { settings, problem } = running.difference();
      return c.json({ object: "config", changed: settings, problem });
    })
    .post("/roots", validJson(rootsChange), (c) => {
      running.changeRoots(c.req.valid("json"));
      return c.json({ allowed_roots: running.config.allowedRoots });
    });
