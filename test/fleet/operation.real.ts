/** An operator's view of nodes that run: the page, the metrics, and `synthesis nodes` on them. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Browser } from "playwright-core";
import { launchBrowser } from "../support/browser.ts";
import { seriesValue } from "../support/metrics.ts";
import { PROGRAM } from "../support/server.ts";
import { ask, texts } from "../support/sse.ts";
import { createFleet, type FleetWorld, type TestNode } from "./world.ts";

let fleet: FleetWorld;
let [a, b]: TestNode[] = [];
let browser: Browser;

beforeAll(async () => {
  browser = await launchBrowser();
  fleet = await createFleet({ standIn: true, env: { SYNTHESIS_PERMISSIONS: "ask" } });
  [a, b] = fleet.nodes as [TestNode, TestNode];
}, 60_000);
afterAll(async () => {
  await browser?.close();
  await fleet?.[Symbol.asyncDispose]();
});

/** Runs `synthesis nodes` on the machine of a node. @returns what it printed */
async function nodes({ env }: TestNode, words: string): Promise<string> {
  const child = Bun.spawn([...PROGRAM, "nodes", ...words.split(" ")], { env, stdout: "pipe", stderr: "pipe" });
  const [code, out, err] = await Promise.all([child.exited, child.stdout.text(), child.stderr.text()]);
  if (code !== 0) throw new Error(err);
  return out;
}

/** Says something, at a node, in a conversation. @returns the answer */
async function say({ server }: TestNode, content: string, user: string): Promise<string> {
  const response = await server.post(ask(content, { user }));
  if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
  return (await Array.fromAsync(texts(response))).join("").trim();
}

/** The metrics of a node, once `isThere` says so. */
async function metricsUntil(node: TestNode, isThere: (text: string) => boolean): Promise<string> {
  for (;;) {
    const text = await (await fleet.control(node, "/metrics")).text();
    if (isThere(text)) return text;
    await Bun.sleep(100);
  }
}

/** A one-time code for the page of a node. */
async function pageCode(node: TestNode, role: "look" | "decide" = "look"): Promise<string> {
  const response = await fleet.control(node, "/v1/page/codes", {
    method: "POST",
    body: JSON.stringify({ role }),
    headers: { "content-type": "application/json" },
  });
  return ((await response.json()) as { code: string }).code;
}

async function openPage(node: TestNode, role: "look" | "decide" = "look") {
  const page = await browser.newPage();
  await page.goto(`${node.server.url}/page#code=${await pageCode(node, role)}`);
  return page;
}

test("a node says where it listens for the others", async () => {
  const { SYNTHESIS_NODE_LISTEN: address } = (a as TestNode).env;
  await (a as TestNode).server.printed(new RegExp(`also listens on https://${address} \\(other nodes\\)`));
});

test("metrics and page show all nodes, what they have and what they send each other", async () => {
  await say(a as TestNode, "hello", "one");
  expect(await say(b as TestNode, "again", "one")).toBe("You said: again");
  const text = await metricsUntil(
    a as TestNode,
    (all) => seriesValue(all, 'synthesis_fleet_nodes{state="live"}') === 2,
  );
  expect(seriesValue(text, "synthesis_fleet_conversations")).toBe(1);
  expect(seriesValue(text, "synthesis_fleet_lease_seconds")).toBeGreaterThan(0);
  expect(seriesValue(text, "synthesis_fleet_certificate_end_timestamp_seconds")).toBeGreaterThan(Date.now() / 1000);
  const other = await metricsUntil(b as TestNode, () => true);
  expect(seriesValue(other, 'synthesis_fleet_forwarded_total{outcome="answered"}')).toBe(1);
  expect(seriesValue(other, "synthesis_fleet_refused_commits_total")).toBe(0);

  const page = await openPage(b as TestNode);
  const rows = page.getByRole("region", { name: "Nodes" }).getByRole("row");
  await rows.getByText("node-b").waitFor();
  await rows
    .filter({ hasText: "node-a" })
    .getByText(/^1 of \d+$/)
    .waitFor();
  // The conversation is on the other node.
  await page.getByRole("link", { name: /one/ }).first().waitFor();
  await page.close();
});

test("a page sees a conversation of another node, and its token works at its own node only", async () => {
  await say(a as TestNode, "hello", "seen");
  const tokens = await fetch(`${(b as TestNode).server.url}/v1/page/tokens`, {
    method: "POST",
    body: JSON.stringify({ code: await pageCode(b as TestNode) }),
    headers: { "content-type": "application/json" },
  });
  const { token } = (await tokens.json()) as { token: string };
  const look = (node: TestNode, path = "", method = "GET") =>
    fetch(`${node.server.url}/v1/sessions/user%3Aseen${path}`, {
      method,
      headers: { authorization: `Bearer ${token}` },
    });
  const seen = await look(b as TestNode);
  // Only the node that has the conversation knows its process.
  expect([seen.status, await seen.json()]).toEqual([
    200,
    expect.objectContaining({ pid: expect.any(Number), turns: 1 }),
  ]);
  expect((await look(b as TestNode, "/reset", "POST")).status).toBe(403);
  expect((await look(a as TestNode)).status).toBe(401);
});

test("a permission prompt of another node is decided on the page of any node", async () => {
  const answer = say(a as TestNode, "permit ls", "asks");
  const page = await openPage(b as TestNode, "decide");
  await page.getByRole("link", { name: /Claude waits for your permission/ }).click();
  await page.getByText("May Claude use Bash?").waitFor();
  await page.getByRole("button", { name: "Allow once" }).click();
  await page.locator(".decided").getByText("Allowed once: Bash").waitFor();
  await page.getByText("No question waits for you.").waitFor();
  expect(await answer).toEndWith("You said: permit ls");
  await page.close();
});

test("a certificate is replaced without a failed request between nodes", async () => {
  const certificate = () => readFileSync(join((a as TestNode).home.base, "state/node.crt"), "utf8");
  const before = certificate();
  let isRotating = true;
  const answers: string[] = [];
  await say(a as TestNode, "hello", "on-a");
  await say(b as TestNode, "hello", "on-b");
  const talking = [
    [b, "on-a"],
    [a, "on-b"],
  ].map(async ([node, user]) => {
    while (isRotating) answers.push(await say(node as TestNode, "more", user as string));
  });
  await nodes(a as TestNode, "join --rotate");
  isRotating = false;
  await Promise.all(talking);
  expect(certificate()).not.toBe(before);
  expect(new Set(answers)).toEqual(new Set(["You said: more"]));
  expect(answers.length).toBeGreaterThan(4);
  // Now only the new one is trusted, and it works.
  expect(await say(b as TestNode, "last", "on-a")).toBe("You said: last");
  expect(await say(a as TestNode, "last", "on-b")).toBe("You said: last");
});

test("a node is drained and takes conversations again", async () => {
  const ready = async () => (await fetch(`${(b as TestNode).server.url}/ready`)).status;
  await nodes(a as TestNode, "drain node-b");
  while ((await ready()) !== 503) await Bun.sleep(50);
  expect(await nodes(a as TestNode, "list")).toMatch(/node-b +draining/);
  const page = await openPage(a as TestNode);
  await page
    .getByRole("region", { name: "Nodes" })
    .getByRole("row")
    .filter({ hasText: "node-b" })
    .getByText("draining")
    .waitFor();
  await page.close();
  expect(await say(b as TestNode, "hello", "later")).toBe("You said: hello");
  await nodes(a as TestNode, "drain node-b --undo");
  while ((await ready()) !== 200) await Bun.sleep(50);
  expect(await nodes(a as TestNode, "list")).toMatch(/node-b +live/);
});

test("a server whose port is taken leaves neither its lease nor a process behind", async () => {
  const { server, env } = b as TestNode;
  await server.stop();
  const taken = new URL((a as TestNode).server.url).port;
  const failing = Bun.spawn([...PROGRAM, "serve"], {
    env: { ...env, SYNTHESIS_BRIDGE_PORT: taken },
    stdout: "ignore",
    stderr: "pipe",
  });
  const [code, problem] = await Promise.all([failing.exited, failing.stderr.text()]);
  expect(code).not.toBe(0);
  expect(problem).toContain(taken);
  expect(await nodes(a as TestNode, "list")).toMatch(/node-b +down/);
  const { stdout } = Bun.spawnSync(["ps", "-A", "-ww", "-o", "args="]);
  expect(stdout.toString()).not.toContain(env.SYNTHESIS_HOME as string);
  await (b as TestNode).restart();
});

test("a node that is evicted and forgotten ends its server, and its conversations continue elsewhere", async () => {
  await say(b as TestNode, "hello", "moves");
  await nodes(a as TestNode, "evict node-b --forget --yes");
  expect(await (b as TestNode).server.exited).toBe(0);
  expect(await say(a as TestNode, "more", "moves")).toBe("You said: more");
  expect(await nodes(a as TestNode, "list")).not.toContain("node-b");
});
