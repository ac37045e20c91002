/** Checks the addresses that other machines can reach: whether the connections are encrypted, and by a valid certificate. */
import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { addressText, isLocal } from "../config/listen-address.ts";
import { describePathProblem } from "../config/path-problem.ts";
import type { Config } from "../config/schema.ts";
import { type Check, subject } from "./check.ts";

const listening = subject("listening", "other machines");
const DAY_MS = 24 * 60 * 60 * 1000;
/** How long before its end a certificate should be renewed, in ms. */
const RENEW_MS = 14 * DAY_MS;

export function listeningChecks(config: Config): Check[] {
  const { listen, controlListen, tlsCert, tlsKey } = config;
  const open = [...new Set([...listen, ...controlListen].filter((address) => !isLocal(address)).map(addressText))];
  if (tlsCert !== undefined && tlsKey !== undefined) return certificateChecks(tlsCert, tlsKey, open);
  if (open.length === 0) return [listening.ok("cannot reach this server")];
  return [
    listening.warning(
      "unencrypted",
      `can reach ${open.join(", ")}, unencrypted: the key and every message can be read on the way`,
      "Set SYNTHESIS_TLS_CERT and SYNTHESIS_TLS_KEY, or let only a proxy with TLS reach these addresses.",
    ),
  ];
}

function certificateChecks(certFile: string, keyFile: string, open: readonly string[]): Check[] {
  let certificate: X509Certificate;
  try {
    readFileSync(keyFile);
    certificate = new X509Certificate(readFileSync(certFile));
  } catch (error) {
    const { what, advice } = describePathProblem(error) ?? {
      what: `${certFile} contains no certificate in PEM form`,
      advice: "Correct SYNTHESIS_TLS_CERT.",
    };
    return [listening.failed("unusable_certificate", what, advice)];
  }
  const until = Date.parse(certificate.validTo);
  const renew = `Renew ${certFile}, and restart synthesis.`;
  if (until < Date.now())
    return [listening.failed("expired", `the certificate ended on ${certificate.validTo}`, renew)];
  if (until < Date.now() + RENEW_MS) {
    return [listening.warning("ends_soon", `the certificate ends on ${certificate.validTo}`, renew)];
  }
  const where = open.length === 0 ? "cannot reach this server" : `can reach ${open.join(", ")}, over TLS`;
  return [listening.ok(where)];
}
