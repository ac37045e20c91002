/** A node's certificate and key: how they are made, kept and read. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { X509Certificate } from "node:crypto";
import { chmodSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { ConfigError } from "../../src/config/config-error.ts";
import { createIdentity, type NodeIdentity, readIdentity, writeIdentity } from "../../src/fleet/certificate.ts";
import { NODE_URL, NodeFolders } from "../support/node-trust.ts";

const folders = new NodeFolders();
let identity: NodeIdentity;

beforeAll(async () => {
  identity = await folders.join("one");
});
afterAll(() => folders[Symbol.dispose]());

const problem = (name: string, url = NODE_URL): string => {
  try {
    readIdentity(folders.paths(name), url);
    return "";
  } catch (error) {
    if (error instanceof ConfigError) return error.message;
    throw error;
  }
};

test("the certificate is for the host of the node's URL, for both ends, and signs no others", () => {
  const parsed = new X509Certificate(identity.certificate);
  expect(parsed.subject).toBe("CN=one");
  expect(parsed.subjectAltName).toBe("IP Address:127.0.0.1");
  expect(parsed.ca).toBe(false);
  expect(parsed.keyUsage).toEqual(["1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2"]);
  const days = (parsed.validToDate.getTime() - Date.now()) / 86_400_000;
  expect(days).toBeGreaterThan(728);
  expect(days).toBeLessThan(732);
});

test.each([
  ["a name", "https://node-1.example.com:7443", "DNS:node-1.example.com"],
  ["IPv6", "https://[fd00::1]:7443", "IP Address:FD00:0:0:0:0:0:0:1"],
])("a URL may name its host by %s", async (_what, url, expected) => {
  const { certificate } = await createIdentity('a "quoted", name', url);
  const parsed = new X509Certificate(certificate);
  expect(parsed.subjectAltName?.toUpperCase()).toBe(expected.toUpperCase());
  expect(parsed.subject).toContain("quoted");
});

test("both files can be read by their owner only, and also again after someone has opened them", () => {
  const paths = folders.paths("one");
  const modes = () => [paths.nodeKey, paths.nodeCertificate].map((path) => statSync(path).mode & 0o777);
  expect(modes()).toEqual([0o600, 0o600]);
  chmodSync(paths.nodeKey, 0o644);
  expect(readIdentity(paths, NODE_URL)).toEqual(identity);
  expect(modes()).toEqual([0o600, 0o600]);
});

test("a machine without a certificate is asked to join", () => {
  expect(problem("nowhere")).toContain("`synthesis nodes join`");
});

test("a certificate for another host, of another key, damaged or expired must be replaced", async () => {
  expect(problem("one", "https://10.0.0.1:7443")).toContain("--rotate");
  expect(problem("one", "https://10.0.0.1:7443")).toContain("IP Address:127.0.0.1");
  const other = await folders.join("other");
  writeIdentity(folders.paths("other"), { key: identity.key, certificate: other.certificate });
  expect(problem("other")).toContain("does not belong to the key");
  writeIdentity(folders.paths("other"), { key: "none", certificate: other.certificate });
  expect(problem("other")).toContain("damaged");
  writeIdentity(folders.paths("other"), await createIdentity("other", NODE_URL, Date.parse("2020-01-01")));
  expect(problem("other")).toMatch(/expired on Jan .* 2022.*--rotate/);
});

test("a key that other users can write is refused", () => {
  const { nodeKey } = folders.paths("one");
  chmodSync(nodeKey, 0o666);
  expect(problem("one")).toContain("can be written by other users");
  chmodSync(nodeKey, 0o600);
});

test("a running node takes over a new certificate, and keeps its own while the files are half replaced", async () => {
  const trust = folders.trust("one", [identity]);
  const { nodeKey } = folders.paths("one");
  const next = await createIdentity("one", NODE_URL);
  const oldKey = readFileSync(nodeKey);
  writeFileSync(nodeKey, next.key);
  trust.update([identity.certificate, next.certificate]);
  expect(trust.identity).toEqual(identity);
  writeFileSync(nodeKey, oldKey);
  writeIdentity(folders.paths("one"), next);
  let updates = 0;
  const stop = trust.onUpdate(() => updates++);
  trust.update([identity.certificate, next.certificate]);
  expect(trust.identity).toEqual(next);
  stop();
  trust.update([next.certificate]);
  expect([updates, trust.trusted]).toEqual([1, [next.certificate]]);
});

test("without members a node trusts itself only, and a damaged certificate of one member harms no other", () => {
  const own = folders.trust("one", []).identity;
  const trust = folders.trust("one", []);
  // An empty list would stand for the public authorities.
  expect(trust.trusted).toEqual([own.certificate]);
  trust.update(["damaged", identity.certificate]);
  expect(trust.trusted).toEqual([identity.certificate]);
  trust.update([]);
  expect(trust.trusted).toEqual([own.certificate]);
});
