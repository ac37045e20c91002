/** Finds the process that a request of its plugin or of its hooks comes from. */
import { digest } from "../../core/tokens.ts";
import type { InteractiveProcess } from "./process.ts";

export class ProcessTokens {
  /** By the digests of their tokens, so that a lookup does not compare secrets byte by byte. */
  readonly #byBridge = new Map<string, InteractiveProcess>();
  readonly #byHook = new Map<string, InteractiveProcess>();

  /** Knows a process until it has exited. */
  add(process: InteractiveProcess): void {
    const bridge = digest(process.bridgeToken);
    const hook = digest(process.hookToken);
    this.#byBridge.set(bridge, process);
    this.#byHook.set(hook, process);
    const remove = () => {
      this.#byBridge.delete(bridge);
      this.#byHook.delete(hook);
    };
    process.exited.then(remove, remove);
  }

  byBridgeToken(token: string | null): InteractiveProcess | undefined {
    return token === null ? undefined : this.#byBridge.get(digest(token));
  }

  byHookToken(token: string | null): InteractiveProcess | undefined {
    return token === null ? undefined : this.#byHook.get(digest(token));
  }
}
