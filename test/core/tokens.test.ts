/** Tokens, keys and the headers that hold them. */
import { expect, test } from "bun:test";
import { hideSecrets } from "../../src/core/secrets.ts";
import { bearer, digest, isSecret, newToken } from "../../src/core/tokens.ts";

test("a new token has 256 bits and is never the same", () => {
  expect(Buffer.from(newToken(), "base64url")).toHaveLength(32);
  expect(newToken()).not.toBe(newToken());
});

test("a secret is equal only to itself", () => {
  const expected = digest("secret");
  expect(isSecret("secret", expected)).toBe(true);
  for (const candidate of ["", "secre", "secret ", "Secret", expected])
    expect(isSecret(candidate, expected)).toBe(false);
});

test("only a bearer header holds a token", () => {
  const headers: [header: string | null | undefined, token: string | null][] = [
    ["Bearer x", "x"],
    ["bearer  x ", "x"],
    ["Bearer x y", null],
    ["Bearer ", null],
    ["Basic x", null],
    ["x", null],
    [null, null],
    [undefined, null],
  ];
  for (const [header, token] of headers) expect([header, bearer(header)]).toEqual([header, token]);
});

test("secrets of the environment are replaced with the names of their variables", () => {
  const hide = hideSecrets({ API_KEY: 'k"123456', DB_PASSWORD: 'k"123456789', PATH: "/usr/bin", PIN_TOKEN: "123" });
  expect(hide('curl -H k"123456 /usr/bin 123')).toBe("curl -H [API_KEY] /usr/bin 123");
  expect(hide(JSON.stringify('k"123456'))).toBe('"[API_KEY]"');
  expect(hide('k"123456789')).toBe("[DB_PASSWORD]");
});
