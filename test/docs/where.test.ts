import { expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

const root = join(import.meta.dir, "../..");
const page = readFileSync(join(root, "docs/architecture.md"), "utf8");
const rows = [...page.matchAll(/^\| (.+) \| `((?:src|release)\/\S+)` \| `(#?\w+)` \|$/gm)].map(
  ([, behaviour = "", file = "", symbol = ""]) => ({ behaviour, file, symbol }),
);

test("the table of docs/architecture.md has at least forty behaviours", () => {
  expect(rows.length).toBeGreaterThanOrEqual(40);
});

test("each behaviour is decided in a file that exists and has the symbol", () => {
  const wrong = rows.filter(({ file, symbol }) => {
    const path = join(root, file);
    return !existsSync(path) || !new RegExp(`(?<![\\w#])${symbol}\\b`).test(readFileSync(path, "utf8"));
  });

  expect(wrong).toEqual([]);
});
