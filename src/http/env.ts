import type { Server } from "bun";
import type { ResponseStream } from "../turn/response-stream.ts";
import type { Caller } from "./callers.ts";
import type { Access } from "./guard.ts";
import type { BridgeData } from "./routes/bridge.ts";

/** What every Hono handler finds in `c.env`, and those behind a chat key in `c.var`: the caller, and its response once it has one. */
export interface Env {
  Bindings: { server: Server<BridgeData>; access: Access };
  Variables: { caller: Caller; response?: ResponseStream };
}
