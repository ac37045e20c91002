/** Whom this node trusts, and how it proves who it is. Both change while the server runs: members join, leave and rotate. */
import { X509Certificate } from "node:crypto";
import { getLogger } from "@logtape/logtape";
import { ConfigError } from "../config/config-error.ts";
import type { Paths } from "../config/paths.ts";
import { type NodeIdentity, readIdentity } from "./certificate.ts";

const log = getLogger(["synthesis", "fleet"]);

export class NodeTrust {
  readonly #paths: Paths;
  readonly #url: string;
  #identity: NodeIdentity;
  /** The certificates as the members have published them. */
  #read: readonly string[];
  #trusted: readonly string[];
  readonly #listeners = new Set<() => void>();

  /**
   * @param url how other nodes reach this one
   * @param trusted the certificates of all members, as PEM
   * @throws ConfigError as `readIdentity` does
   */
  constructor(paths: Paths, url: string, trusted: readonly string[]) {
    this.#paths = paths;
    this.#url = url;
    this.#identity = readIdentity(paths, url);
    this.#read = trusted;
    this.#trusted = usable(trusted);
  }

  get identity(): NodeIdentity {
    return this.#identity;
  }

  /** When this node's certificate ends, as Unix time in ms. */
  get certificateEnd(): number {
    return new X509Certificate(this.#identity.certificate).validToDate.getTime();
  }

  /** The certificates of all members, as PEM. They are never none: Bun would trust the public authorities instead. */
  get trusted(): readonly string[] {
    return this.#trusted.length > 0 ? this.#trusted : [this.#identity.certificate];
  }

  /**
   * Takes over the certificates of the members, and this machine's own if it was rotated. Call it each time the members
   * are read.
   */
  update(trusted: readonly string[]): void {
    if (trusted.join() !== this.#read.join()) {
      this.#read = trusted;
      this.#trusted = usable(trusted);
    }
    try {
      this.#identity = readIdentity(this.#paths, this.#url);
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      // `nodes join --rotate` replaces the two files one after the other, and an old identity works until it expires.
      log.warning("the node keeps the certificate that it has: {reason}", { reason: error.message });
    }
    for (const listener of this.#listeners) listener();
  }

  /** Calls `listener` after each update. @returns stops that */
  onUpdate(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}

/** Without those that are damaged: with one of them, no connection at all could be made. */
function usable(certificates: readonly string[]): readonly string[] {
  const kept = certificates.filter((certificate) => {
    try {
      return new X509Certificate(certificate);
    } catch {
      log.warning("a certificate in the table of the members is damaged, and not trusted");
      return false;
    }
  });
  return kept.sort();
}
