/**
 * The certificate with which this machine proves to the other nodes who it is, and its key. It is self-signed, and may
 * sign no other: each node trusts exactly the certificates of the members that the database lists.
 */
import { createPrivateKey, X509Certificate } from "node:crypto";
import { chmodSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { isIP } from "node:net";
import { ConfigError } from "../config/config-error.ts";
import { checkWriters } from "../config/ownership.ts";
import { checkPath } from "../config/path-problem.ts";
import type { Paths } from "../config/paths.ts";
import { restrictToOwner } from "../config/state-folder.ts";

/** A certificate and its private key, both as PEM. */
export interface NodeIdentity {
  readonly certificate: string;
  readonly key: string;
}

type IdentityFiles = Pick<Paths, "nodeCertificate" | "nodeKey">;

const VALID_YEARS = 2;
const HOUR_MS = 3_600_000;
const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };

/**
 * Makes a key and a certificate for the host of `url`, which is how the other nodes reach this one.
 * @param name the node's name, for people who read the certificate
 * @param now when it begins, as Unix time in ms
 */
export async function createIdentity(name: string, url: string, now = Date.now()): Promise<NodeIdentity> {
  // These libraries are large, and only this function needs them.
  await import("reflect-metadata");
  const x509 = await import("@peculiar/x509");
  const keys = await crypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
  const host = hostOf(url);
  const notAfter = new Date(now);
  notAfter.setFullYear(notAfter.getFullYear() + VALID_YEARS);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    name: [{ CN: [name] }],
    keys,
    signingAlgorithm: ALGORITHM,
    // The clock of another node may be slow.
    notBefore: new Date(now - HOUR_MS),
    notAfter,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth, x509.ExtendedKeyUsage.clientAuth]),
      new x509.SubjectAlternativeNameExtension([{ type: isIP(host) ? "ip" : "dns", value: host }]),
    ],
  });
  const key = await crypto.subtle.exportKey("pkcs8", keys.privateKey);
  return {
    certificate: `${certificate.toString("pem")}\n`,
    key: `${x509.PemConverter.encode(key, x509.PemConverter.PrivateKeyTag)}\n`,
  };
}

/** Writes both files, each in one step and with mode 0600. A file that exists is replaced. */
export function writeIdentity({ nodeKey, nodeCertificate }: IdentityFiles, { key, certificate }: NodeIdentity): void {
  const files = [
    [nodeKey, key],
    [nodeCertificate, certificate],
  ] as const;
  for (const [path, content] of files) {
    writeFileSync(`${path}.new`, content, { mode: 0o600 });
    // The mode above is ignored when the file has been left behind by a command that was killed.
    chmodSync(`${path}.new`, 0o600);
  }
  for (const [path] of files) renameSync(`${path}.new`, path);
}

/**
 * Reads the identity of this machine, and takes the permissions of its files away from other users.
 * @param url how other nodes reach this one
 * @throws ConfigError when there is none, it does not fit `url`, has expired, or other users can write its files
 */
export function readIdentity({ nodeKey, nodeCertificate }: IdentityFiles, url: string): NodeIdentity {
  const key = readOwn(nodeKey);
  const certificate = readOwn(nodeCertificate);
  const problem = problemOf({ key, certificate }, url);
  if (problem) throw new ConfigError(`${nodeCertificate} ${problem} Run \`synthesis nodes join --rotate\`.`);
  return { key, certificate };
}

function readOwn(path: string): string {
  const problem = checkPath(path, "readable") ?? checkWriters(path);
  if (problem) throw new ConfigError(`${problem.what} ${problem.advice}`);
  restrictToOwner(path);
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    throw new ConfigError(
      `This machine is no member of the fleet: ${path} does not exist. Run \`synthesis nodes join\` on it.`,
    );
  }
}

/** Why an identity cannot be used, as the rest of a sentence; null when it can. */
function problemOf({ key, certificate }: NodeIdentity, url: string): string | null {
  let parsed: X509Certificate;
  try {
    parsed = new X509Certificate(certificate);
    if (!parsed.checkPrivateKey(createPrivateKey(key))) return "does not belong to the key beside it.";
  } catch {
    // The parser's message says nothing that helps a person, and may quote the key.
    return "or the key beside it is damaged.";
  }
  if (parsed.validToDate.getTime() < Date.now()) return `expired on ${parsed.validTo}.`;
  const host = hostOf(url);
  if (isIP(host) ? parsed.checkIP(host) : parsed.checkHost(host)) return null;
  return `is for ${parsed.subjectAltName}, but other nodes reach this one at ${url}.`;
}

/** The host of a URL, an IPv6 address without its brackets. */
const hostOf = (url: string): string => new URL(url).hostname.replace(/^\[(.*)\]$/, "$1");
