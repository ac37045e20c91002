/** `GET /metrics`: the metrics, in Prometheus's text format. */
import { Hono } from "hono";
import type { Metrics } from "../../metrics/metrics.ts";
import type { Env } from "../env.ts";

export const metricsRoutes = (metrics: Metrics): Hono<Env> =>
  new Hono<Env>().get("/", async (c) => {
    const { registry } = metrics;
    return c.body(await registry.metrics(), 200, { "content-type": registry.contentType });
  });
