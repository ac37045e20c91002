/**
 * `bun run pictures` makes the pictures of the page for the README: the real claude on a scripted model, in a real
 * browser, at the width of a phone and of a desktop, in light and dark.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { launchBrowser, openPage } from "../support/browser.ts";
import { planHeaders, text, toolUse, usage } from "../support/mock-anthropic.ts";
import { ask } from "../support/sse.ts";
import { createWorld } from "../support/world.ts";

const FOLDER = join(import.meta.dir, "../../docs/pictures");
const PHONE = 390;
const DESKTOP = 1100;

/** A view, what it shows when it is complete, and the pictures of it that the README has. */
const VIEWS: readonly [
  name: string,
  hash: string,
  pictures: readonly string[],
  ready: (page: Page) => Promise<unknown>,
][] = [
  ["overview", "#/", ["desktop-light", "desktop-dark"], (page) => page.getByText("Memory of Claude").first().waitFor()],
  [
    "needs-you",
    "#/needs-you",
    ["phone-light", "phone-dark"],
    (page) => page.getByRole("button", { name: "Allow once" }).first().waitFor(),
  ],
  [
    "conversation",
    `#/conversations/${encodeURIComponent("user:garden")}`,
    ["phone-dark", "desktop-light"],
    (page) => page.locator(".timeline .card").first().waitFor(),
  ],
  ["usage", "#/usage", ["desktop-light"], (page) => page.locator(".chart canvas").first().waitFor()],
];

await using world = await createWorld({
  plan: true,
  env: { SYNTHESIS_PERMISSIONS: "ask", SYNTHESIS_PERMISSION_TIMEOUT_MS: "600000" },
});
const { mock, server } = world;
const inHours = (hours: number) => Math.floor(Date.now() / 1_000) + hours * 3_600;
mock.sendHeaders(
  planHeaders({ "5h": { used: 0.42, resetsAt: inHours(3) }, "7d": { used: 0.83, resetsAt: inHours(76) } }),
);
mock.on(/plan|check|summarise/, function* ({ toolResults }) {
  yield usage({
    input_tokens: 900,
    cache_read_input_tokens: 21_400,
    cache_creation_input_tokens: 1_300,
    output_tokens: 640,
  });
  if (toolResults.length === 0) yield toolUse("Bash", { command: "ls", description: "List the folder" });
  else yield text("Here is what I found.");
});
mock.on(/publish/, function* ({ toolResults }) {
  yield usage({
    input_tokens: 700,
    cache_read_input_tokens: 18_200,
    cache_creation_input_tokens: 800,
    output_tokens: 210,
  });
  if (toolResults.length === 0) {
    yield toolUse("WebFetch", {
      url: "https://docs.example.com/releases/latest",
      prompt: "Which version is the newest?",
    });
  } else yield text("Published.");
});

const say = async (user: string, content: string) => (await server.post(ask(content, { user }))).text();
await Promise.all([say("garden", "plan the beds"), say("invoices", "check the invoices of May")]);
await say("garden", "summarise it");
// Its permission prompt waits until the world ends.
void say("release", "publish the notes").catch(() => {});

mkdirSync(FOLDER, { recursive: true });
const browser = await launchBrowser();
try {
  for (const [device, width] of [
    ["phone", PHONE],
    ["desktop", DESKTOP],
  ] as const) {
    for (const scheme of ["light", "dark"] as const) {
      const { page, context } = await openPage(browser, world, { width, scheme });
      await page.getByRole("link", { name: /Claude waits for your permission/ }).waitFor();
      for (const [view, hash, pictures, ready] of VIEWS) {
        if (!pictures.includes(`${device}-${scheme}`)) continue;
        await page.evaluate(`location.hash = ${JSON.stringify(hash)}`);
        await ready(page);
        const path = join(FOLDER, `${view}-${device}-${scheme}.png`);
        await page.screenshot({ path, animations: "disabled" });
        console.log(path);
      }
      await context.close();
    }
  }
} finally {
  await browser.close();
}
