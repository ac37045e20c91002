/** Who sends a request, by its chat key: the server's own key, or one that `synthesis keys` has made. */
import { statSync } from "node:fs";
import { getLogger } from "@logtape/logtape";
import { configOf, type NamedKey, readKeys } from "../config/chat-keys.ts";
import type { Config } from "../config/schema.ts";
import { RequestError } from "../core/errors.ts";
import { digest, isSecret } from "../core/tokens.ts";

const log = getLogger(["synthesis", "http"]);

export interface Caller {
  /** The name of the key; null for the server's own. */
  readonly name: string | null;
  /** The configuration for the requests of this caller. */
  readonly config: Config;
  /** Counts a request until the function that it returns is called. @throws RequestError (`queue_full`) */
  begin(): () => void;
}

export class Callers {
  readonly #config: Config;
  readonly #ownKey: string;
  readonly #file: string;
  /** What the file was like when it was read last. */
  #version = "";
  #named: readonly NamedKey[] = [];
  /** How many requests each named key has open. */
  readonly #open = new Map<string, number>();

  /**
   * @param ownKey the server's own chat key
   * @param file the file of the named keys
   * @throws ConfigError when the file cannot be used
   */
  constructor(config: Config, ownKey: string, file: string) {
    this.#config = config;
    this.#ownKey = digest(ownKey);
    this.#file = file;
    this.#read();
  }

  /** @returns null for a key that there is not, or is no longer */
  find(key: string): Caller | null {
    if (isSecret(key, this.#ownKey)) return { name: null, config: this.#config, begin: () => () => {} };
    this.#readIfChanged();
    // All are compared, so that the time says nothing about which one matches.
    const [found] = this.#named.filter((one) => isSecret(key, one.digest));
    if (!found) return null;
    return { name: found.name, config: configOf(found, this.#config), begin: () => this.#begin(found) };
  }

  #begin({ name, maxRequests }: NamedKey): () => void {
    const open = this.#open.get(name) ?? 0;
    if (maxRequests !== undefined && open >= maxRequests) {
      throw new RequestError(
        "queue_full",
        `The key ${name} has ${open} requests open already, which is its limit. Send the message again when one of them is answered.`,
      );
    }
    this.#open.set(name, open + 1);
    let isOpen = true;
    return () => {
      if (isOpen) this.#open.set(name, (this.#open.get(name) ?? 1) - 1);
      isOpen = false;
    };
  }

  #readIfChanged(): void {
    if (this.#currentVersion() === this.#version) return;
    try {
      this.#read();
    } catch (error) {
      // A key that was revoked must not work on because of a damaged file.
      this.#named = [];
      log.error("named keys not accepted: {error}", { error });
    }
  }

  #read(): void {
    // The version comes first: a change while the file is read is then noticed later.
    this.#version = this.#currentVersion();
    this.#named = readKeys(this.#file);
  }

  #currentVersion(): string {
    const stats = statSync(this.#file, { throwIfNoEntry: false, bigint: true });
    return stats ? `${stats.ino} ${stats.mtimeNs} ${stats.size}` : "";
  }
}
