import type { Server } from "bun";
import type { PageSession } from "../page-access/page-access.ts";
import type { ResponseStream } from "../turn/response-stream.ts";
import type { Caller } from "./callers.ts";
import type { Access } from "./guard.ts";
import type { BridgeData } from "./routes/bridge.ts";

/** What every Hono handler finds in `c.env`, and those behind a key in `c.var`. */
export interface Env {
  Bindings: { server: Server<BridgeData>; access: Access };
  Variables: {
    /** Behind a chat key. */
    caller: Caller;
    /** Behind a chat key, once the request has one. */
    response?: ResponseStream;
    /** Behind the control key or the token of a page; undefined with the control key. */
    page: PageSession | undefined;
  };
}
