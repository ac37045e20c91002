import { expect, test } from "bun:test";
import { existsSync, readFileSync, statSync } from "node:fs";
import { dirname, join, relative } from "node:path";

const root = join(import.meta.dir, "../..");
const pages = ["*.md", "docs/**/*.md", "examples/*.md"].flatMap((pattern) =>
  [...new Bun.Glob(pattern).scanSync(root)].map((path) => join(root, path)),
);

/** The anchor that GitHub gives a heading. */
const anchorOf = (heading: string): string =>
  heading
    .replace(/\[([^\]]*)\]\([^)]*\)/g, "$1")
    .toLowerCase()
    .replace(/[^\p{L}\p{N}_ -]/gu, "")
    .replaceAll(" ", "-");

/** A page without its code blocks, in which nothing is a link or a heading. */
const proseOf = (page: string): string => readFileSync(page, "utf8").replace(/^```[\s\S]*?^```/gm, "");

const anchorsIn = (page: string): string[] =>
  [...proseOf(page).matchAll(/^#+ (.*)$/gm)].map(([, heading = ""]) => anchorOf(heading));

test("the pages are found", () => {
  expect(pages.length).toBeGreaterThan(15);
});

test("every link between the pages leads to a file and a heading that exist", () => {
  const broken = pages.flatMap((page) =>
    [...proseOf(page).matchAll(/\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)/g)].flatMap(([link, path = "", anchor]) => {
      const target = path === "" ? page : join(dirname(page), path);
      const isThere = existsSync(target) && (anchor === undefined || anchorsIn(target).includes(anchor));
      return isThere ? [] : `${relative(root, page)}: ${link}`;
    }),
  );

  expect(broken).toEqual([]);
});

test("every path of the project that a page names exists", () => {
  const named = /`((?:src|test|docs|scripts|examples|\.ci|\.github)\/[\w./-]*)`/g;
  const missing = pages
    .filter((page) => !page.endsWith("CHANGELOG.md"))
    .flatMap((page) =>
      [...proseOf(page).matchAll(named)].flatMap(([, path = ""]) =>
        existsSync(join(root, path)) && statSync(join(root, path)).isDirectory() === path.endsWith("/")
          ? []
          : `${relative(root, page)}: ${path}`,
      ),
    );

  expect(missing).toEqual([]);
});

test("the README has at most 150 lines", () => {
  expect(readFileSync(join(root, "README.md"), "utf8").split("\n").length).toBeLessThanOrEqual(151);
});
