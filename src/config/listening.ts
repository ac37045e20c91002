/** Which of the configured addresses may not be opened. */
import { ConfigError } from "./config-error.ts";
import { addressText, isLocal } from "./listen-address.ts";
import type { Config } from "./schema.ts";

/** Hosts that stand for every address of the machine, the loopback ones included. */
const WILDCARDS = ["0.0.0.0", "::"];

/** @throws ConfigError when the addresses cannot be opened together, or would be unsafe */
export function checkListening(config: Config): void {
  const { listen, controlListen, bridgePort, tlsCert, tlsKey, database, nodeListen } = config;
  if ((database === undefined) !== (nodeListen === undefined)) {
    throw new ConfigError(
      "SYNTHESIS_DATABASE and SYNTHESIS_NODE_LISTEN belong together: the database makes this server a node of a fleet, " +
        "and the other nodes must reach it. Set both, or neither.",
    );
  }
  if (nodeListen && "unix" in nodeListen) {
    throw new ConfigError("SYNTHESIS_NODE_LISTEN must be host:port, since other machines connect to it.");
  }
  if ((tlsCert === undefined) !== (tlsKey === undefined)) {
    throw new ConfigError("SYNTHESIS_TLS_CERT and SYNTHESIS_TLS_KEY belong together. Set both, or neither.");
  }
  for (const address of [...listen, ...controlListen]) {
    if ("unix" in address || address.port === 0 || address.port !== bridgePort) continue;
    if (!isLocal(address) && !WILDCARDS.includes(address.host)) continue;
    throw new ConfigError(
      `${addressText(address)} includes port ${bridgePort} of the loopback interface, where synthesis always listens ` +
        "for its own agent processes. Choose another port in SYNTHESIS_LISTEN or SYNTHESIS_CONTROL_LISTEN, or move " +
        "that one with SYNTHESIS_BRIDGE_PORT.",
    );
  }
  const open = controlListen.find((address) => !isLocal(address));
  if (open && tlsCert === undefined) {
    throw new ConfigError(
      `Other machines can reach ${addressText(open)} in SYNTHESIS_CONTROL_LISTEN, and the control key can allow shell ` +
        "commands, so it must not cross a network unencrypted. Set SYNTHESIS_TLS_CERT and SYNTHESIS_TLS_KEY, or name " +
        "a loopback address or a Unix socket.",
    );
  }
}
