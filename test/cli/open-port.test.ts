/** Why the server's port cannot be opened. */
import { expect, test } from "bun:test";
import { openPort } from "../../src/cli/open-port.ts";
import { ConfigError } from "../../src/config/config-error.ts";

const failWith = (code: string) => async () => {
  throw Object.assign(new Error("Failed to start server."), { code });
};

test("returns what the function opens", async () => {
  expect(await openPort(80, async () => "listening")).toBe("listening");
});

test.each([
  ["EACCES", /Only root may open port 80/],
  ["EADDRINUSE", /Port 80 .* already in use/],
])("explains %s", async (code, message) => {
  const opening = openPort(80, failWith(code));
  await expect(opening).rejects.toThrow(ConfigError);
  await expect(opening).rejects.toThrow(message);
});

test("throws any other error as it is", async () => {
  await expect(openPort(80, failWith("EMFILE"))).rejects.toThrow("Failed to start server.");
});
