/** Nodes of a fleet as the transport between them sees them: each has a folder with its certificate and its key. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathsFor } from "../../src/config/paths.ts";
import { createIdentity, type NodeIdentity, writeIdentity } from "../../src/fleet/certificate.ts";
import { NodeTrust } from "../../src/fleet/trust.ts";

/** How the nodes of a test reach each other. */
export const NODE_URL = "https://127.0.0.1:7443";

/** The folders of some nodes, and what a node in each of them trusts. */
export class NodeFolders implements Disposable {
  readonly #base = mkdtempSync(join(tmpdir(), "nodes-"));

  paths(name: string) {
    return pathsFor(join(this.#base, name));
  }

  /** Makes a certificate and a key, and writes them to the node's folder. */
  async join(name: string, url = NODE_URL): Promise<NodeIdentity> {
    const identity = await createIdentity(name, url);
    const paths = this.paths(name);
    await Bun.$`mkdir -p ${paths.home}`;
    writeIdentity(paths, identity);
    return identity;
  }

  /** @param members the nodes that this one trusts */
  trust(name: string, members: readonly NodeIdentity[]): NodeTrust {
    return new NodeTrust(
      this.paths(name),
      NODE_URL,
      members.map(({ certificate }) => certificate),
    );
  }

  [Symbol.dispose](): void {
    rmSync(this.#base, { recursive: true, force: true });
  }
}
