/** Why the server's port cannot be opened. */
import { expect, test } from "bun:test";
import { openPort } from "../../src/cli/open-port.ts";
import { ConfigError } from "../../src/config/config-error.ts";

const failWith = (code: string) => () => {
  throw Object.assign(new Error("Failed to start server."), { code });
};

test("returns what the function opens", () => {
  expect(openPort(80, () => "listening")).toBe("listening");
});

test.each([
  ["EACCES", /Only root may open port 80/],
  ["EADDRINUSE", /Port 80 .* already in use/],
])("explains %s", (code, message) => {
  expect(() => openPort(80, failWith(code))).toThrow(ConfigError);
  expect(() => openPort(80, failWith(code))).toThrow(message);
});

test("throws any other error as it is", () => {
  expect(() => openPort(80, failWith("EMFILE"))).toThrow("Failed to start server.");
});
