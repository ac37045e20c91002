/** What `doctor` says of the addresses that other machines can reach. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { listeningChecks } from "../../src/doctor/listening.ts";
import { CERTIFICATE, CERTIFICATE_KEY, EXPIRED_CERTIFICATE } from "../support/certificate.ts";
import { createFixture, type Fixture } from "./fixture.ts";

let fixture: Fixture;
beforeAll(() => {
  fixture = createFixture();
});
afterAll(() => fixture[Symbol.dispose]());

const open = { listen: [{ host: "0.0.0.0", port: 8080 }] };
const check = (settings: Parameters<Fixture["config"]>[0], cert?: string) => {
  const tls =
    cert === undefined
      ? {}
      : { tlsCert: fixture.write("cert.pem", cert), tlsKey: fixture.write("key.pem", CERTIFICATE_KEY) };
  return listeningChecks(fixture.config({ ...settings, ...tls }));
};

test.each([
  ["nothing", {}, undefined, "listening.ok", "cannot reach"],
  ["a local address", { listen: [{ unix: "/run/s" }] }, undefined, "listening.ok", "cannot reach"],
  ["an unencrypted address", open, undefined, "listening.unencrypted", "0.0.0.0:8080, unencrypted"],
  ["an encrypted address", open, CERTIFICATE, "listening.ok", "can reach 0.0.0.0:8080, over TLS"],
  ["a certificate that has ended", open, EXPIRED_CERTIFICATE, "listening.expired", "ended on Jan  2"],
  ["a file that is no certificate", open, "hello", "listening.unusable_certificate", "no certificate in PEM form"],
])("with %s", (_what, settings, cert, id, found) => {
  expect(check(settings, cert)).toMatchObject([{ id, found: expect.stringContaining(found) }]);
});

test("names a certificate that is missing", () => {
  const [found] = listeningChecks(fixture.config({ ...open, tlsCert: "/nowhere/c.pem", tlsKey: "/nowhere/k.pem" }));
  expect(found).toMatchObject({
    id: "listening.unusable_certificate",
    found: expect.stringContaining("/nowhere/k.pem"),
  });
});
