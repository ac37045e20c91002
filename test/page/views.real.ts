/** On the real claude and in a real browser: what a person sees on the page, and what a person decides there. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { launchBrowser, openPage } from "../support/browser.ts";
import { at, control } from "../support/control.ts";
import { text, toolUse } from "../support/mock-anthropic.ts";
import { ask, texts } from "../support/sse.ts";
import { createWorld, type World } from "../support/world.ts";

let browser: Browser;
let world: World;
beforeAll(async () => {
  browser = await launchBrowser();
  world = await createWorld({ env: { SYNTHESIS_PERMISSIONS: "ask", SYNTHESIS_ALLOWED_TOOLS: "Read" } });
  world.mock.on(/write (\S+)/, function* ({ asked, toolResults }) {
    const file_path = join(world.claude.workspace, /write (\S+)/.exec(asked)?.[1] ?? "");
    if (toolResults.length === 0) yield toolUse("Write", { file_path, content: HARMFUL });
    else yield text(toolResults[0]?.isError ? "refused" : "done");
  });
  world.mock.on(/disguise/, function* ({ toolResults }) {
    const file_path = join(world.claude.workspace, "disguised.sh");
    if (toolResults.length === 0) yield toolUse("Write", { file_path, content: "one\u202etwo\u200b" });
    else yield text(toolResults[0]?.isError ? "refused" : "done");
  });
  world.mock.on(/run it/, function* ({ toolResults }) {
    if (toolResults.length === 0) yield toolUse("Bash", { command: "touch made.txt", description: "make a file" });
    else yield text(toolResults[0]?.isError ? "refused" : "done");
  });
  world.mock.on(/hang/, async function* ({ closed }) {
    yield text("I think");
    await closed;
  });
});
afterAll(async () => {
  await world?.[Symbol.asyncDispose]();
  await browser?.close();
});

/** What runs if any text reaches the page as HTML. */
const HARMFUL = '</script><script>document.title = "owned"</script><img src=x onerror="document.title=\'owned\'">';

const rest = async (content: string, user: string) =>
  (await Array.fromAsync(texts(await world.server.post(ask(content, { user }))))).join("").trim();
const written = (file: string) => existsSync(join(world.claude.workspace, file));
const goTo = async (page: Page, hash: string, heading: string) => {
  await page.evaluate(`location.hash = ${JSON.stringify(hash)}`);
  await page.getByRole("heading", { name: heading, level: 1 }).waitFor();
};

describe("a permission prompt", () => {
  test("is allowed by a person with a phone, who sees the turn go on", async () => {
    const { page, context, problems } = await openPage(browser, world, { width: 390 });
    const answer = rest("write yes.txt", "phone");
    await page.getByRole("link", { name: /Claude waits for your permission/ }).click();
    await page.getByText("May Claude use Write?").waitFor();
    expect(await page.title()).toStartWith("(1) ");
    expect(await page.getByText(HARMFUL).count()).toBeGreaterThan(0);
    expect(written("yes.txt")).toBe(false);

    await page.getByRole("button", { name: "Allow once" }).click();
    const decided = page.locator(".decided");
    await decided.getByText("Allowed once: Write").waitFor();
    expect(await answer).toEndWith("done");
    await decided.getByText("idle").waitFor();
    expect(written("yes.txt")).toBe(true);
    await decided.getByRole("link").click();
    await page.getByText("Write", { exact: true }).first().waitFor();
    expect(await page.title()).not.toContain("owned");
    expect(problems).toEqual([]);
    await context.close();
  });

  test("is allowed with the keyboard alone", async () => {
    const { page, context } = await openPage(browser, world);
    const answer = rest("write keys.txt", "keys");
    await page.getByRole("link", { name: /Claude waits/ }).focus();
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "Needs you" }).waitFor();
    for (let presses = 0; presses < 30; presses += 1) {
      await page.keyboard.press("Tab");
      if ((await page.evaluate("document.activeElement.textContent")) === "Allow once") break;
    }
    await page.keyboard.press("Enter");
    expect(await answer).toEndWith("done");
    expect(await page.evaluate("document.activeElement.textContent")).toBe("Needs you");
    await context.close();
  });

  test("shows the characters that would disguise what is asked", async () => {
    const { page, context } = await openPage(browser, world);
    const answer = rest("disguise", "disguise");
    await page.getByRole("link", { name: /Claude waits/ }).click();
    await page.getByText("one⟨U+202E⟩two⟨U+200B⟩").waitFor();
    expect(await page.locator("main").textContent()).not.toMatch(/[\u202e\u200b]/);
    await page.getByRole("button", { name: "Deny" }).click();
    expect(await answer).toEndWith("refused");
    await context.close();
  });

  test("is denied, and allowed with a rule", async () => {
    const { page, context } = await openPage(browser, world);
    const refused = rest("write no.txt", "two");
    await page.getByRole("link", { name: /Claude waits/ }).click();
    await page.getByRole("button", { name: "Deny" }).click();
    expect(await refused).toEndWith("refused");

    const allowed = rest("run it", "two");
    await page.getByText("May Claude use Bash?").waitFor();
    await page.getByText("Allow with a rule").click();
    expect(await page.getByLabel("Rule").inputValue()).toBe("Bash(touch made.txt)");
    await page.getByLabel("Rule").fill("Bash(touch *)");
    await page.getByRole("button", { name: "Allow with this rule" }).click();
    expect(await allowed).toEndWith("done");
    await goTo(page, "#/conversations/user%3Atwo", "user:two");
    await page.getByText("allowed with Bash(touch *)").waitFor();
    await context.close();
  });

  test("cannot be answered by a page that may only look", async () => {
    const { page, context } = await openPage(browser, world, { role: "look" });
    const answer = rest("write look.txt", "look");
    await page.getByRole("link", { name: /Claude waits/ }).click();
    await page.getByText("This page may only look.").waitFor();
    expect(await page.getByRole("button", { name: "Allow once" }).isDisabled()).toBe(true);
    const code = await page.evaluate(`(async () => {
      const token = sessionStorage.getItem("synthesis.token");
      const headers = { authorization: "Bearer " + token, "content-type": "application/json" };
      const { data } = await (await fetch("/v1/permissions", { headers })).json();
      const response = await fetch("/v1/permissions/" + data[0].id, { method: "POST", headers, body: '{"behavior":"allow"}' });
      return [response.status, (await response.json()).error.code];
    })()`);
    expect(code).toEqual([403, "role_not_allowed"]);
    await context.close();

    const { page: other, context: deciding } = await openPage(browser, world);
    await other.getByRole("link", { name: /Claude waits/ }).click();
    await other.getByRole("button", { name: "Deny" }).click();
    expect(await answer).toEndWith("refused");
    await deciding.close();
  });
});

describe("a conversation", () => {
  test("appears without a reload, with its turn, its tokens and its screen", async () => {
    const { page, context, problems } = await openPage(browser, world);
    await goTo(page, "#/conversations", "Conversations");
    await rest("hello", "live");
    await page.getByRole("searchbox").fill("live");
    await page.getByRole("link", { name: /user:live/ }).click();
    await page.locator(".timeline li").first().getByText("done").waitFor();
    await page.getByText("first text").first().waitFor();
    await page.getByText("cold process").or(page.getByText("spare process")).first().waitFor();
    await page.getByRole("link", { name: "Live screen" }).click();
    await page.locator(".terminal").getByText("hello").first().waitFor();
    expect(problems).toEqual([]);
    await context.close();
  });

  test("is interrupted, reset and deleted", async () => {
    const { page, context } = await openPage(browser, world);
    const answer = world.server.post(ask("hang", { user: "three" })).then((response) => response.text());
    await goTo(page, "#/conversations/user%3Athree", "user:three");
    // Before Claude has the message there is no turn that could be interrupted.
    await page.locator(".steps .received").waitFor();
    await page.getByRole("button", { name: "Interrupt" }).click();
    await page.locator(".timeline li").first().getByText("turn_interrupted").waitFor();
    expect(await answer).toContain("turn_interrupted");
    await goTo(page, "#/errors", "Errors");
    await page.getByText("turn_interrupted").first().waitFor();

    await goTo(page, "#/conversations/user%3Athree", "user:three");
    await page.getByRole("button", { name: "Reset…" }).click();
    await page.getByRole("button", { name: "Reset the conversation" }).click();
    await page.getByText("Before a reset").waitFor();

    await page.getByRole("button", { name: "Delete…" }).click();
    await page.getByRole("button", { name: "Cancel" }).click();
    expect((await control(world, at("user:three"))).status).toBe(200);
    await page.getByRole("button", { name: "Delete…" }).click();
    await page.getByRole("button", { name: "Delete the conversation" }).click();
    await page.getByRole("heading", { name: "Conversations", level: 1 }).waitFor();
    expect((await control(world, at("user:three"))).status).toBe(404);
    await context.close();
  });

  test("over stream-json has a screen, too, and its name is only text", async () => {
    await using stream = await createWorld({ env: { SYNTHESIS_ENGINE: "stream" } });
    await (await stream.server.post(ask("hello over there", { user: HARMFUL }))).text();
    const { page, context, problems } = await openPage(browser, stream);
    await page.getByRole("link", { name: /script/ }).click();
    await page.getByRole("link", { name: "Live screen" }).click();
    await page.locator(".terminal").getByText("hello over there").first().waitFor();
    expect(await page.title()).not.toBe("owned");
    expect(problems).toEqual([]);
    await context.close();
  });
});

test("usage shows the tokens as the API counts them, with a chart", async () => {
  await rest("hello", "usage");
  const { page, context, problems } = await openPage(browser, world);
  await goTo(page, "#/usage", "Usage");
  await page.locator(".chart canvas").waitFor();
  await page.getByRole("row", { name: /^Total/ }).waitFor();
  await page.getByRole("combobox", { name: "By", exact: true }).selectOption("model");
  await page.getByRole("heading", { name: "Figures by model" }).waitFor();
  await page
    .getByRole("rowheader", { name: /claude/ })
    .first()
    .waitFor();
  await page.getByText("Time to first text").waitFor();
  expect(problems).toEqual([]);
  await context.close();
});

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const VIEWS = [
  ["#/", "Overview"],
  ["#/conversations", "Conversations"],
  ["#/conversations/user%3Atwo", "user:two"],
  ["#/needs-you", "Needs you"],
  ["#/usage", "Usage"],
  ["#/errors", "Errors"],
] as const;

test.each([
  ["light", 1200],
  ["dark", 360],
] as const)(
  "axe finds nothing serious in %s, at %d pixels, and nothing is wider than the screen",
  async (scheme, width) => {
    const answer = rest("run it", `axe ${scheme}`);
    const { page, context } = await openPage(browser, world, { scheme, width });
    await page.getByRole("link", { name: /Claude waits/ }).waitFor();
    for (const [hash, heading] of VIEWS) {
      await goTo(page, hash, heading);
      // The test's own script, outside of the policy of the page.
      await page.evaluate(axe);
      const found = await page.evaluate(`axe.run().then(({ violations }) => violations
      .filter(({ impact }) => impact === "serious" || impact === "critical")
      .map(({ id, nodes }) => id + ": " + nodes.map(({ html }) => html).join(" ")))`);
      expect([hash, found]).toEqual([hash, []]);
      const overflow = await page.evaluate(
        "document.documentElement.scrollWidth - document.documentElement.clientWidth",
      );
      expect([hash, overflow]).toEqual([hash, 0]);
    }
    await goTo(page, "#/needs-you", "Needs you");
    await page.getByRole("button", { name: "Deny" }).click();
    await answer;
    await context.close();
  },
);

test("a page whose server was restarted says how to come in again", async () => {
  await using other = await createWorld({ standIn: true });
  const { page, context } = await openPage(browser, other);
  await other.server.stop();
  await page.getByText("The connection to the server is lost").waitFor();
  await context.close();
});
