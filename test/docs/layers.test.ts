import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";

const root = join(import.meta.dir, "../..");
const page = readFileSync(join(root, "docs/architecture.md"), "utf8");
const [, list = ""] = /^```layers\n([\s\S]*?)^```/m.exec(page) ?? [];
const layers = list.trim().split("\n");

/** What each file of src imports, types included. */
const imports = new Map(
  [...new Bun.Glob("src/**/*.ts").scanSync(root)].map((file) => [
    file,
    [...readFileSync(join(root, file), "utf8").matchAll(/\bfrom "(\.[^"]+)"|\bimport\("(\.[^"]+)"\)/g)]
      .map(([, from, dynamic]) => join(dirname(file), from ?? dynamic ?? ""))
      .filter((path) => path.startsWith("src/")),
  ]),
);

/** The layer with the longest name that the path is in. */
function layerOf(file: string): string {
  const path = file.replace(/^src\//, "");
  const own = layers.filter((layer) => path === `${layer}.ts` || path.startsWith(`${layer}/`));
  return own.toSorted((one, other) => other.length - one.length)[0] ?? `${path}, which is in no layer`;
}

test("each file is in a layer of docs/architecture.md, and each layer has files", () => {
  const used = new Set([...imports.keys()].map(layerOf));

  expect([...used].toSorted()).toEqual(layers.toSorted());
});

test("no file imports from a layer above its own", () => {
  const upward = [...imports].flatMap(([file, targets]) =>
    targets
      .filter((target) => layers.indexOf(layerOf(target)) < layers.indexOf(layerOf(file)))
      .map((target) => `${file} imports ${target}`),
  );

  expect(upward).toEqual([]);
});

test("imports form no cycle", () => {
  const finished = new Set<string>();
  const cycles: string[] = [];
  const visit = (file: string, path: readonly string[]) => {
    if (finished.has(file)) return;
    if (path.includes(file)) {
      cycles.push([...path.slice(path.indexOf(file)), file].join(" → "));
      return;
    }
    for (const target of imports.get(file) ?? []) visit(target, [...path, file]);
    finished.add(file);
  };

  for (const file of imports.keys()) visit(file, []);

  expect(cycles).toEqual([]);
});
