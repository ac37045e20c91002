/** The addresses to listen on: how they are written, and which are refused. */
import { describe, expect, test } from "bun:test";
import { ConfigError } from "../../src/config/config-error.ts";
import { addressText, isLocal, parseListenAddress } from "../../src/config/listen-address.ts";
import { loadConfig } from "../../src/config/load.ts";
import { pathsFor } from "../../src/config/paths.ts";

const load = (env: Record<string, string>) => loadConfig(pathsFor("/nowhere/synthesis"), env, {});

describe("an address is", () => {
  test.each([
    ["0.0.0.0:8080", { host: "0.0.0.0", port: 8080 }, false],
    ["127.0.0.1:0", { host: "127.0.0.1", port: 0 }, true],
    ["127.8.0.1:80", { host: "127.8.0.1", port: 80 }, true],
    ["localhost:80", { host: "localhost", port: 80 }, true],
    ["Box.local:443", { host: "box.local", port: 443 }, false],
    ["127.0.0.1.evil.example:80", { host: "127.0.0.1.evil.example", port: 80 }, false],
    ["[::]:8080", { host: "::", port: 8080 }, false],
    ["[::1]:8080", { host: "::1", port: 8080 }, true],
    ["[fd00::1]:8080", { host: "fd00::1", port: 8080 }, false],
    ["/run/chat.sock", { unix: "/run/chat.sock" }, true],
  ])("%s", (text, address, local) => {
    expect(parseListenAddress(text)).toEqual(address);
    expect(addressText(address)).toBe(text.toLowerCase());
    expect(isLocal(address)).toBe(local);
  });

  test.each([
    "8080",
    "0.0.0.0",
    "::1:80",
    "[chat]:80",
    "host:99999",
    "http://host:80",
    "host:80/path",
    "chat.sock",
    ":80",
  ])("not %s", (text) => {
    expect(parseListenAddress(text)).toBeNull();
    expect(() => load({ SYNTHESIS_LISTEN: text })).toThrow(
      "SYNTHESIS_LISTEN[0] in the environment: expected host:port",
    );
  });
});

test("several are separated by commas or spaces", () => {
  expect(load({ SYNTHESIS_LISTEN: "0.0.0.0:1, [::]:2 /run/s" }).listen.map(addressText)).toEqual([
    "0.0.0.0:1",
    "[::]:2",
    "/run/s",
  ]);
});

describe("refuses", () => {
  const tls = { SYNTHESIS_TLS_CERT: "/c", SYNTHESIS_TLS_KEY: "/k" };
  test.each([
    ["control for other machines without TLS", { SYNTHESIS_CONTROL_LISTEN: "0.0.0.0:1" }, "unencrypted"],
    ["a certificate without a key", { SYNTHESIS_TLS_CERT: "/c" }, "Set both, or neither"],
    ["a key without a certificate", { SYNTHESIS_TLS_KEY: "/k" }, "Set both, or neither"],
    ["the server's own port", { SYNTHESIS_LISTEN: "0.0.0.0:18990" }, "Choose another port"],
    ["its own port over IPv6", { ...tls, SYNTHESIS_CONTROL_LISTEN: "[::]:18990" }, "Choose another port"],
    [
      "any origin",
      { SYNTHESIS_ALLOWED_ORIGINS: "*" },
      "SYNTHESIS_ALLOWED_ORIGINS[0] in the environment: expected an origin",
    ],
    ["an origin with a path", { SYNTHESIS_ALLOWED_ORIGINS: "https://a.example/" }, "without a path"],
    ["any host", { SYNTHESIS_ALLOWED_HOSTS: "*.example" }, "SYNTHESIS_ALLOWED_HOSTS[0] in the environment: expected"],
  ])("%s", (_what, env, message) => {
    expect(() => load(env)).toThrow(ConfigError);
    expect(() => load(env)).toThrow(message);
  });

  test.each([
    ["control for other machines with TLS", { ...tls, SYNTHESIS_CONTROL_LISTEN: "0.0.0.0:1" }],
    ["control on this machine without TLS", { SYNTHESIS_CONTROL_LISTEN: "127.0.0.1:1 /run/s" }],
    ["chats for other machines without TLS", { SYNTHESIS_LISTEN: "0.0.0.0:1" }],
    ["the server's own port at another address", { SYNTHESIS_LISTEN: "192.168.1.7:18990" }],
    ["the usual port when its own is another", { SYNTHESIS_LISTEN: "0.0.0.0:18990", SYNTHESIS_BRIDGE_PORT: "1" }],
  ])("not %s", (_what, env) => {
    expect(() => load(env)).not.toThrow();
  });
});
