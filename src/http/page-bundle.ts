/**
 * The files of the page. From source they are bundled with the first request; the binary contains them, since
 * `bun run build` bundles them first (`build-page.ts`).
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { brotliCompressSync, constants } from "node:zlib";

/** Where the page is. Its files are below. */
const PAGE_PATH = "/page";
const ENTRY = join(import.meta.dir, "../page/index.html");
/** `--asset` puts the folder that `build-page.ts` writes here. */
const BUILT = join(import.meta.dir, "page");
const INDEX = "index.html";

/** A file of the page, as a response has it. */
export interface PageFile {
  readonly type: string;
  /** Its name has a hash of its content, so it never changes. */
  readonly isImmutable: boolean;
  readonly etag: string;
  /** By content encoding; `identity` for none. */
  readonly bytes: Readonly<Record<"identity" | "gzip" | "br", Uint8Array<ArrayBuffer>>>;
}

/** By the path below the page's own; empty for the page itself. */
export type PageFiles = ReadonlyMap<string, PageFile>;

/** Bundles the page. @returns the content of its files by name */
export async function bundlePage(): Promise<ReadonlyMap<string, Uint8Array<ArrayBuffer>>> {
  const { outputs } = await Bun.build({
    entrypoints: [ENTRY],
    target: "browser",
    minify: true,
    splitting: true,
    // The page has no slash at its end, so relative addresses would miss its folder.
    publicPath: `${PAGE_PATH}/`,
    naming: { entry: "[name].[ext]", chunk: "[hash].[ext]", asset: "[hash].[ext]" },
    // Preact and its companions ask for it.
    define: { "process.env.NODE_ENV": '"production"' },
  });
  const files = outputs.map(
    async (output) => [output.path.replace(/^.*\//, ""), new Uint8Array(await output.arrayBuffer())] as const,
  );
  return new Map(await Promise.all(files));
}

/** The files ready to be sent, compressed. */
export async function loadPage(): Promise<PageFiles> {
  const contents = Bun.isStandaloneExecutable
    ? new Map(readdirSync(BUILT).map((name) => [name, new Uint8Array(readFileSync(join(BUILT, name)))]))
    : await bundlePage();
  return new Map([...contents].map(([name, bytes]) => [name === INDEX ? "" : name, pageFile(name, bytes)]));
}

function pageFile(name: string, bytes: Uint8Array<ArrayBuffer>): PageFile {
  const brotli = brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: 9 } });
  return {
    type: TYPES[name.replace(/^.*\./, "")] ?? "application/octet-stream",
    isImmutable: name !== INDEX,
    etag: `"${Bun.CryptoHasher.hash("sha256", bytes, "base64url").slice(0, 22)}"`,
    bytes: { identity: bytes, gzip: Bun.gzipSync(bytes, { level: 9 }), br: new Uint8Array(brotli) },
  };
}

const TYPES: Readonly<Record<string, string>> = {
  html: "text/html; charset=utf-8",
  js: "text/javascript; charset=utf-8",
  css: "text/css; charset=utf-8",
  svg: "image/svg+xml",
};
