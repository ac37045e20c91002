/** The HAProxy of deploy/ before the nodes of a test. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { digest } from "../../src/core/tokens.ts";
import { freePort } from "../support/daemon.ts";
import { startHaproxy, type TestHaproxy } from "../support/haproxy.ts";

export const DEPLOY = join(import.meta.dir, "../../deploy");
export const shippedConfig = readFileSync(join(DEPLOY, "haproxy.cfg"), "utf8");

/** What HAProxy must know of a node, which it reaches on 127.0.0.1. */
interface Target {
  readonly name: string;
  readonly port: number;
}

export interface Balancer extends AsyncDisposable {
  readonly haproxy: TestHaproxy;
  /** `http://127.0.0.1:<port>` */
  readonly url: string;
}

/**
 * @param cells by name, the nodes of each and its chat keys; `main` is one of them
 * @param adapt changes the configuration for a test
 */
export async function startBalancer(
  cells: Readonly<Record<string, { readonly nodes: readonly Target[]; readonly keys?: readonly string[] }>>,
  adapt: (config: string) => string = (config) => config,
): Promise<Balancer> {
  const port = await freePort();
  const at = shippedConfig.indexOf("backend main\n");
  const [front, backends] = [shippedConfig.slice(0, at), shippedConfig.slice(at)];
  // As docs/fleet.md says: a cell has copies of the two backends.
  const ofCell = (cell: string, nodes: readonly Target[]) => {
    const servers = nodes.map(({ name, port }) => `  server ${name} 127.0.0.1:${port} check\n`).join("");
    return backends.replaceAll(/^backend main/gm, `backend ${cell}`).replaceAll(/(?: {2}server .*\n)+/g, servers);
  };
  const config = [front, ...Object.entries(cells).map(([cell, { nodes }]) => ofCell(cell, nodes))]
    .join("\n")
    .replaceAll("/etc/haproxy/", "<folder>/")
    .replace("bind :8080", `bind 127.0.0.1:${port}`)
    .replaceAll("inter 2s fastinter 500ms", "inter 50ms fastinter 50ms");
  const lines = Object.entries(cells).flatMap(([cell, { keys = [] }]) => keys.map((key) => `${digest(key)} ${cell}\n`));
  const haproxy = await startHaproxy(adapt(config), { "cells.map": lines.join("") });
  return { haproxy, url: `http://127.0.0.1:${port}`, [Symbol.asyncDispose]: () => haproxy[Symbol.asyncDispose]() };
}
