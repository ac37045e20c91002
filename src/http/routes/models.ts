/** `GET /v1/models` and `GET /v1/models/{id}`. */
import { Hono } from "hono";
import { MODELS, modelFor } from "../../claude/models.ts";
import type { Env } from "../env.ts";

const model = (id: string) => ({ id, object: "model", created: 1_767_225_600, owned_by: "synthesis" });

export const modelRoutes: Hono<Env> = new Hono<Env>()
  .get("/", (c) => c.json({ object: "list", data: MODELS.map(model) }))
  .get("/:id", (c) => {
    const id = c.req.param("id");
    // Throws for an id that is not a model.
    modelFor(id);
    return c.json(model(id));
  });
