/** Preloaded into a server by `metrics.ts`: the same server without metrics. */
import { plugin } from "bun";

plugin({
  name: "without metrics",
  setup: (build) => {
    build.onLoad({ filter: /\/src\/metrics\/metrics\.ts$/ }, () => ({
      loader: "ts",
      contents: `
        const registry = { contentType: "text/plain", metrics: async () => "" };
        export const createMetrics = () => ({ registry, noteError() {}, noteVersion() {} });`,
    }));
  },
});
