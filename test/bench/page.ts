/**
 * `bun run bench:page` measures the page: the time to its first paint from the binary, what it transfers, and what an
 * open page costs the server with forty conversations. It prints a table and checks nothing.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { launchBrowser, openPage, pageCode } from "../support/browser.ts";
import { ask } from "../support/sse.ts";
import { createWorld } from "../support/world.ts";
import { median } from "./median.ts";

const CONVERSATIONS = 40;
const LOADS = 7;
/** How long the server is watched, in ms. */
const WATCHED_MS = 20_000;
/** The memory of the processes is measured for a while after their last work. */
const REST_MS = 15_000;

const folder = mkdtempSync(join(tmpdir(), "synthesis-bench-"));
const program = join(folder, "synthesis");
await Bun.spawn([process.execPath, "run", "build", "--outfile", program], { stdout: "ignore", stderr: "ignore" })
  .exited;
const world = await createWorld({
  standIn: true,
  program: [program],
  env: { SYNTHESIS_MAX_PROCESSES: "64", SYNTHESIS_LOG_LEVEL: "info", SYNTHESIS_MEMORY_MB: "60000" },
});
const { server } = world;
const say = async (user: string) => (await server.post(ask("hello", { user }))).text();
await Promise.all(Array.from({ length: CONVERSATIONS }, (_, at) => say(`${at}`)));

/** The CPU time of the server, in ms, in steps of ten (Linux only). */
function cpuMs(): number {
  const fields = readFileSync(`/proc/${server.pid}/stat`, "utf8").split(") ").at(-1)?.split(" ") ?? [];
  return (Number(fields[11]) + Number(fields[12])) * 10;
}
async function percentOfCore(): Promise<number> {
  const before = cpuMs();
  await Bun.sleep(WATCHED_MS);
  return ((cpuMs() - before) / WATCHED_MS) * 100;
}

const browser = await launchBrowser();
const paints: number[] = [];
let bytes = 0;
for (let load = 0; load < LOADS; load += 1) {
  const context = await browser.newContext();
  const page = await context.newPage();
  bytes = 0;
  page.on("response", async (response) => {
    if (response.url().includes("/page")) bytes += Number((await response.allHeaders())["content-length"] ?? 0);
  });
  await page.goto(`${server.url}/page#code=${await pageCode(world)}`);
  await page.getByRole("heading", { name: "Overview" }).waitFor();
  const paint = `performance.getEntriesByName("first-contentful-paint")[0]?.startTime`;
  paints.push(Number(await page.evaluate(paint)));
  await context.close();
}
await Bun.sleep(REST_MS);
const closed = await percentOfCore();
const { context } = await openPage(browser, world);
await Bun.sleep(1_000);
const open = await percentOfCore();
await context.close();
await browser.close();
await world[Symbol.asyncDispose]();
rmSync(folder, { recursive: true });

console.log(`| The page, from the binary | | target |
|---|---|---|
| first paint, ms | ${median(paints).toFixed(0)} | < 300 |
| transferred, without charts, kB | ${(bytes / 1_000).toFixed(0)} | < 150 |
| server at rest with ${CONVERSATIONS} conversations, % of a core | ${closed.toFixed(2)} | |
| the same with an open page | ${open.toFixed(2)} | < 1 |`);
process.exit(0);
