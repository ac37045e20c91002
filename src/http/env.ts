import type { Server } from "bun";
import type { Access } from "./guard.ts";
import type { BridgeData } from "./routes/bridge.ts";

/** What every Hono handler finds in `c.env`. */
export interface Env {
  Bindings: { server: Server<BridgeData>; access: Access };
}
