/** A real browser for the tests of the page. */
import { existsSync } from "node:fs";
import { type Browser, type BrowserContext, chromium, type Page } from "playwright-core";
import { controlKey } from "./control.ts";
import type { World } from "./world.ts";

/** Where Debian's package `chromium`, and Chrome on a Mac, put the program. */
const PROGRAMS = ["/usr/bin/chromium", "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"];

/** @throws when there is no browser */
export function launchBrowser(): Promise<Browser> {
  const executablePath = process.env.SYNTHESIS_TEST_BROWSER ?? PROGRAMS.find((program) => existsSync(program));
  if (!executablePath) {
    throw new Error("These tests need Chromium. Install it (.ci/install does), or set SYNTHESIS_TEST_BROWSER.");
  }
  // The sandbox of Chromium cannot be used by root.
  return chromium.launch({ executablePath, args: process.getuid?.() === 0 ? ["--no-sandbox"] : [] });
}

/** A one-time code, as `synthesis open` gets it. */
export async function pageCode(world: World, role: "look" | "decide" = "decide"): Promise<string> {
  const response = await fetch(`${world.server.url}/v1/page/codes`, {
    method: "POST",
    headers: { authorization: `Bearer ${controlKey(world)}`, "content-type": "application/json" },
    body: JSON.stringify({ role }),
  });
  return ((await response.json()) as { code: string }).code;
}

export interface OpenedPage {
  readonly page: Page;
  readonly context: BrowserContext;
  /** What the Content-Security-Policy has kept from happening, and errors in the console. */
  readonly problems: string[];
}

interface OpenOptions {
  readonly role?: "look" | "decide";
  readonly width?: number;
  readonly scheme?: "light" | "dark";
}

/** Opens the page and comes in. */
export async function openPage(
  browser: Browser,
  world: World,
  { role = "decide", width = 1200, scheme = "light" }: OpenOptions = {},
): Promise<OpenedPage> {
  const context = await browser.newContext({ viewport: { width, height: 844 }, colorScheme: scheme });
  const page = await context.newPage();
  const problems: string[] = [];
  page.on("console", (message) => {
    if (message.type() === "error") problems.push(message.text());
  });
  page.on("pageerror", (error) => problems.push(error.message));
  await page.goto(`${world.server.url}/page#code=${await pageCode(world, role)}`);
  await page.getByRole("heading", { name: "Overview", level: 1 }).waitFor();
  return { page, context, problems };
}
