/**
 * The listener for the other nodes of the fleet. It accepts only connections that show the certificate of a member, and
 * is opened again when the members or this node's own certificate change: a certificate that was removed opens nothing
 * from then on.
 */
import { getLogger } from "@logtape/logtape";
import type { Server } from "bun";
import type { Hono } from "hono";
import { ConfigError } from "../config/config-error.ts";
import { addressText } from "../config/listen-address.ts";
import type { NodeTrust } from "../fleet/trust.ts";
import type { Env } from "./env.ts";
import { createNodeGuard } from "./guard.ts";
import type { BridgeData } from "./routes/bridge.ts";
import { type ServeDeps, serve, tcp } from "./serve.ts";

const log = getLogger(["synthesis", "http"]);

export interface NodeListener {
  readonly port: number;
  /** Accepts no more requests. Resolves when all responses have ended. */
  stop(): Promise<void>;
}

/** @throws ConfigError when the address cannot be opened */
export function openNodeListener(
  deps: ServeDeps,
  app: Hono<Env>,
  address: { readonly host: string; readonly port: number },
  trust: NodeTrust,
): NodeListener {
  const guard = createNodeGuard();
  const open = (port: number): Server<BridgeData> => {
    const { certificate: cert, key } = trust.identity;
    const tls = { cert, key, ca: [...trust.trusted], requestCert: true, rejectUnauthorized: true };
    return serve(deps, app, tcp(address.host, port, tls), () => guard);
  };
  const settings = () => JSON.stringify([trust.identity, trust.trusted]);

  let server: Server<BridgeData>;
  try {
    server = open(address.port);
  } catch (error) {
    throw new ConfigError(
      `synthesis cannot listen on ${addressText(address)} for other nodes: ${(error as Error).message}`,
    );
  }
  const port = server.port ?? address.port;
  let opened = settings();
  /** Those that were replaced, until their last response has ended. */
  const replaced = new Set<Promise<void>>();

  const reopen = () => {
    if (settings() === opened) return;
    // Responses that are under way end in peace; the port is free at once.
    const ended = server.stop().finally(() => replaced.delete(ended));
    replaced.add(ended);
    opened = "";
    try {
      server = open(port);
      opened = settings();
    } catch (error) {
      // The next update tries again.
      log.error("the listener for other nodes cannot be opened again: {error}", { error });
    }
  };
  const stopListening = trust.onUpdate(reopen);

  return {
    port,
    stop: async () => {
      stopListening();
      await Promise.all([server.stop(), ...replaced]);
    },
  };
}
