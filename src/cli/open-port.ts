/** Explains why the server's port cannot be opened. */
import { ConfigError } from "../config/config-error.ts";

/**
 * Calls `open`, which opens the port.
 * @throws ConfigError when another program uses the port, or only root may open it
 */
export async function openPort<T>(port: number, open: () => Promise<T>): Promise<T> {
  try {
    return await open();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EACCES") {
      throw new ConfigError(
        `Only root may open port ${port} on 127.0.0.1. Choose a port above 1023 with --bridge-port or ` +
          "SYNTHESIS_BRIDGE_PORT.",
      );
    }
    if (code !== "EADDRINUSE") throw error;
    throw new ConfigError(
      `Port ${port} on 127.0.0.1 is already in use, perhaps by another synthesis. Stop that program, or choose another ` +
        "port with --bridge-port or SYNTHESIS_BRIDGE_PORT.",
    );
  }
}
