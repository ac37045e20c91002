/** `GET /v1/models` and `GET /v1/models/{id}`. */
import { Hono } from "hono";
import { MODEL } from "../openai/chunks.ts";
import { ApiError } from "../openai/errors.ts";

const model = { id: MODEL, object: "model", created: 1_767_225_600, owned_by: "synthesis" };

export const modelsDoor = new Hono()
  .get("/", (c) => c.json({ object: "list", data: [model] }))
  .get("/:id", (c) => {
    if (c.req.param("id") === MODEL) return c.json(model);
    throw new ApiError("unknown_url", `There is no model ${c.req.param("id")}; there is ${MODEL}.`, "model");
  });
