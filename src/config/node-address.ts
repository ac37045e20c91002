/** What the other nodes of a fleet call this one, and how they reach it. */
import { hostname } from "node:os";
import { ConfigError } from "./config-error.ts";
import { addressText } from "./listen-address.ts";
import type { Config } from "./schema.ts";

export const nodeName = (config: Pick<Config, "nodeName">): string => config.nodeName ?? hostname();

/** Where a node listens for the others. @throws ConfigError for a server that is no node */
export function nodeListen({ nodeListen: address }: Pick<Config, "nodeListen">): { host: string; port: number } {
  if (address && !("unix" in address)) return address;
  throw new ConfigError("Set SYNTHESIS_NODE_LISTEN to the address at which the other nodes reach this one.");
}

/** How other nodes reach this one. @throws ConfigError when they cannot */
export function nodeUrl(config: Pick<Config, "nodeUrl" | "nodeListen">): string {
  if (config.nodeUrl !== undefined) return config.nodeUrl;
  const address = nodeListen(config);
  if (address.host !== "0.0.0.0" && address.host !== "::" && address.port !== 0)
    return `https://${addressText(address)}`;
  throw new ConfigError(
    `Other nodes cannot connect to ${addressText(address)}. Name the address at which they reach this machine in ` +
      "SYNTHESIS_NODE_URL, or with --url of `synthesis nodes join`, such as https://10.0.0.5:18991.",
  );
}
