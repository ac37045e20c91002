/** In a real browser: how a page comes in, and what keeps others out, with the browser signed in. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { Browser } from "playwright-core";
import { launchBrowser, openPage, pageCode } from "../support/browser.ts";
import { ask } from "../support/sse.ts";
import { createWorld, type World } from "../support/world.ts";

let browser: Browser;
let world: World;
beforeAll(async () => {
  browser = await launchBrowser();
  world = await createWorld({ standIn: true });
  await (await world.server.post(ask("hello", { user: "secret-name" }))).text();
});
afterAll(async () => {
  await world?.[Symbol.asyncDispose]();
  await browser?.close();
});

const TOKEN = `sessionStorage.getItem("synthesis.token")`;

describe("a link", () => {
  test("lets in once, and its code stays neither in the address nor in the log", async () => {
    const code = await pageCode(world);
    const context = await browser.newContext();
    const page = await context.newPage();
    await page.goto(`${world.server.url}/page#code=${code}`);
    await page.getByRole("heading", { name: "Overview" }).waitFor();
    expect(page.url()).toBe(`${world.server.url}/page`);
    const token = String(await page.evaluate(TOKEN));
    expect(token.length).toBeGreaterThan(40);
    expect(await page.content()).not.toContain(token);
    expect(await context.cookies()).toEqual([]);

    const second = await context.newPage();
    await second.goto(`${world.server.url}/page#code=${code}`);
    await second.getByText("This link cannot be used").waitFor();
    await second.getByText("synthesis open").first().waitFor();
    for (const secret of [code, token]) expect(world.server.log()).not.toContain(secret);
    await context.close();
  });

  test("lets a tab stay in over a reload, and no other tab in", async () => {
    const { page, context } = await openPage(browser, world);
    await page.reload();
    await page.getByRole("heading", { name: "Overview" }).waitFor();
    const other = await context.newPage();
    await other.goto(`${world.server.url}/page`);
    await other.getByText("This page is not signed in.").waitFor();
    await context.close();
  });

  test("lets in a tab that shows the page already", async () => {
    const context = await browser.newContext();
    const page = await context.newPage();
    await page.goto(`${world.server.url}/page`);
    await page.getByText("This page is not signed in.").waitFor();
    await page.goto(`${world.server.url}/page#code=${await pageCode(world)}`);
    await page.getByRole("heading", { name: "Overview" }).waitFor();
    expect(page.url()).toBe(`${world.server.url}/page`);
    await context.close();
  });

  test("ends with the sign-out, on the server too", async () => {
    const { page, context } = await openPage(browser, world);
    const token = String(await page.evaluate(TOKEN));
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.getByText("You have signed out.").waitFor();
    expect(await page.evaluate(TOKEN)).toBeNull();
    const headers = { authorization: `Bearer ${token}` };
    expect((await fetch(`${world.server.url}/v1/sessions`, { headers })).status).toBe(401);
    await context.close();
  });
});

test("the page loads nothing from elsewhere, and has a strict policy", async () => {
  const context = await browser.newContext();
  const page = await context.newPage();
  const origins = new Set<string>();
  let bytes = 0;
  page.on("request", (request) => origins.add(new URL(request.url()).origin));
  page.on("response", async (response) => {
    if (response.url().includes("/page")) bytes += Number((await response.allHeaders())["content-length"] ?? 0);
  });
  const response = await page.goto(`${world.server.url}/page#code=${await pageCode(world)}`);
  await page.getByRole("heading", { name: "Overview" }).waitFor();
  await page.evaluate(`location.hash = "#/usage"`);
  await page.locator(".chart canvas").waitFor();
  expect([...origins]).toEqual([world.server.url]);
  const policy = (await response?.headerValue("content-security-policy")) ?? "";
  expect(policy).toStartWith("default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'");
  expect(policy).not.toContain("unsafe");
  expect(bytes).toBeGreaterThan(10_000);
  expect(bytes).toBeLessThan(150_000);
  await context.close();
});

describe("a page of another origin", () => {
  /** What it tries, as expressions that give what it has learned or caused; null for nothing. */
  const TRIES: [what: string, script: (own: string) => string][] = [
    ["reads the sessions", (own) => `fetch("${own}/v1/sessions", { credentials: "include" }).then((r) => r.text())`],
    ["reads the page", (own) => `fetch("${own}/page").then((r) => r.text())`],
    ["reads the live stream", (own) => `fetch("${own}/v1/live").then((r) => r.text())`],
    [
      "reads the live stream as events",
      (own) => `new Promise((resolve) => {
        const events = new EventSource("${own}/v1/live", { withCredentials: true });
        events.onmessage = () => resolve("an event");
        events.onerror = () => resolve(null);
      })`,
    ],
    [
      "exchanges a code",
      (own) =>
        `fetch("${own}/v1/page/tokens", { method: "POST", body: "{}", headers: { "content-type": "application/json" } }).then((r) => r.text())`,
    ],
    [
      "opens the bridge",
      (own) => `new Promise((resolve) => {
        const socket = new WebSocket("${own.replace("http", "ws")}/bridge");
        socket.onopen = () => resolve("open");
        socket.onerror = () => resolve(null);
      })`,
    ],
    [
      "shows the page in a frame",
      (own) => `new Promise((resolve) => {
        const frame = document.createElement("iframe");
        frame.src = "${own}/page";
        frame.onload = () => { try { resolve(frame.contentDocument?.body.textContent || null); } catch { resolve(null); } };
        document.body.append(frame);
      })`,
    ],
    [
      "opens the page and looks into it",
      (own) => `new Promise((resolve) => {
        const opened = window.open("${own}/page");
        setTimeout(() => { try { resolve(opened?.document.body.textContent || null); } catch { resolve(null); } }, 500);
      })`,
    ],
    [
      "deletes a conversation without being able to read the answer",
      (own) =>
        `fetch("${own}/v1/sessions/user:secret-name/reset", { method: "POST", mode: "no-cors", credentials: "include" }).then(() => null)`,
    ],
    [
      "sends a form",
      (own) => `new Promise((resolve) => {
        const form = document.createElement("form");
        const frame = document.createElement("iframe");
        frame.name = "target";
        frame.onload = () => setTimeout(() => resolve(null), 200);
        form.method = "post"; form.target = "target"; form.action = "${own}/v1/sessions/user:secret-name/reset";
        document.body.append(frame, form);
        form.submit();
      })`,
    ],
  ];

  test.each(["127.0.0.1", "localhost"])("on another port of %s learns nothing and changes nothing", async (host) => {
    const attacker = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      fetch: () => new Response("<!doctype html><body>attacker", { headers: { "content-type": "text/html" } }),
    });
    const { page: own, context, problems } = await openPage(browser, world);
    const page = await context.newPage();
    await page.goto(`http://${host}:${attacker.port}/`);
    const sessions = async () => {
      const token = await own.evaluate(TOKEN);
      const headers = { authorization: `Bearer ${token}` };
      return (await fetch(`${world.server.url}/v1/sessions/user%3Asecret-name`, { headers })).json();
    };
    const before = await sessions();
    for (const [what, script] of TRIES) {
      const learned = await page.evaluate(`Promise.resolve(${script(world.server.url)}).catch(() => null)`);
      expect([what, learned]).toEqual([what, null]);
    }
    expect(await page.evaluate(TOKEN)).toBeNull();
    expect(await sessions()).toEqual(before);
    await own.getByRole("heading", { name: "Overview" }).waitFor();
    expect(problems).toEqual([]);
    await context.close();
    await attacker.stop(true);
  });

  test("with a name of its own that leads here is turned away", async () => {
    for (const path of ["/page", "/v1/live", "/v1/page/tokens"]) {
      const response = await fetch(`${world.server.url}${path}`, {
        headers: { host: `evil.example:${new URL(world.server.url).port}` },
      });
      expect([path, response.status]).toEqual([path, 403]);
    }
  });
});
