/** On the real claude: permission prompts that are answered over the control API and on the command line. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { at, control as sessions } from "../support/control.ts";
import { text, toolUse } from "../support/mock-anthropic.ts";
import { PROGRAM } from "../support/server.ts";
import { ask, next, texts } from "../support/sse.ts";
import { createWorld, type World } from "../support/world.ts";

let world: World;
beforeAll(async () => {
  world = await createWorld({ env: { SYNTHESIS_PERMISSIONS: "ask", SYNTHESIS_PERMISSION_TIMEOUT_MS: "20000" } });
  world.mock.on(/write (\S+)/, function* ({ asked, toolResults }) {
    const files = /write (\S+)/.exec(asked)?.[1]?.split("+") ?? [];
    if (toolResults.length === 0) {
      for (const file of files) yield toolUse("Write", { file_path: join(world.claude.workspace, file), content: "x" });
    } else yield text(toolResults.map(({ isError, content }) => (isError ? `refused: ${content}` : "done")).join("\n"));
  });
  world.mock.on(/put the page/, function* ({ toolResults }) {
    const file_path = join(world.claude.workspace, "page.html");
    if (toolResults.length === 0) yield toolUse("Write", { file_path, content: PAGE });
    else yield text(toolResults[0]?.isError ? "refused" : "done");
  });
});
afterAll(() => world[Symbol.asyncDispose]());

/** A page with a harmful end, which the prompt in the chat cuts off. */
const PAGE = `${"line\n".repeat(2_000)}\x1b]0;title\x1b\\ the end`;
const command = async (...args: string[]) => {
  const child = Bun.spawn([...PROGRAM, "permissions", ...args, "--home", join(world.claude.base, "state")], {
    env: world.claude.env,
    stdout: "pipe",
  });
  return child.stdout.text();
};

const control = (path: string, init: RequestInit = {}) =>
  fetch(`${world.server.url}/v1/permissions${path}`, {
    ...init,
    headers: {
      authorization: `Bearer ${readFileSync(join(world.claude.base, "state/control.key"), "utf8").trim()}`,
      "content-type": "application/json",
    },
  });
const answer = (id: string, behavior: "allow" | "deny", rule?: string) =>
  control(`/${id}`, { method: "POST", body: JSON.stringify({ behavior, ...(rule ? { rule } : {}) }) });
const idIn = (note: string) => /permissions allow (\w+)/.exec(note)?.[1] ?? "";
const written = (file: string) => existsSync(join(world.claude.workspace, file));
const rest = async (stream: AsyncGenerator<string>) => (await Array.fromAsync(stream)).join("").trim();
const latest = async () =>
  ((await (await control("")).json()) as { latest: { verdict: string; way: string }[] }).latest[0];

describe("a permission prompt", () => {
  test("has an id in the answer, and a yes lets claude continue", async () => {
    const stream = texts(await world.server.post(ask("write yes.txt", { user: "one" })));
    const note = await next(stream);
    expect(note).toContain(`Write: ${join(world.claude.workspace, "yes.txt")}`);
    expect(written("yes.txt")).toBe(false);
    const { data } = (await (await control("")).json()) as { data: unknown[] };
    expect(data).toMatchObject([{ id: idIn(note), session: "user:one", tool: "Write" }]);
    expect((await answer(idIn(note), "allow")).status).toBe(200);
    expect(await rest(stream)).toBe("done");
    expect(written("yes.txt")).toBe(true);
    expect(await latest()).toMatchObject({ verdict: "allow", way: "control" });
    // A prompt is answered once.
    expect((await answer(idIn(note), "deny")).status).toBe(404);
  });

  test("can be denied on the command line, and claude gets the refusal", async () => {
    const stream = texts(await world.server.post(ask("write no.txt", { user: "one" })));
    const id = idIn(await next(stream));
    const child = Bun.spawn([...PROGRAM, "permissions", "deny", id, "--home", join(world.claude.base, "state")], {
      env: world.claude.env,
      stdout: "pipe",
    });
    expect(await child.stdout.text()).toBe(`${id}: denied\n`);
    expect(await rest(stream)).toStartWith("refused: ");
    expect(written("no.txt")).toBe(false);
  });

  test("is shown whole on the command line and over HTTP, without terminal control characters", async () => {
    const stream = texts(await world.server.post(ask("put the page", { user: "one" })));
    const note = await next(stream);
    const id = idIn(note);
    expect(note).toContain(`synthesis permissions show ${id}`);
    expect(await (await control(`/${id}`)).json()).toMatchObject({ content: { text: PAGE, bytes: PAGE.length } });
    const shown = await command("show", id);
    expect(shown).toContain("Session:  user:one\n");
    expect(shown).toContain(PAGE.replaceAll("\x1b", "⟨U+001B⟩"));
    for (const output of [shown, await command("list"), await command("list", "--json")]) {
      expect(output).not.toContain("\x1b");
    }
    await answer(id, "deny");
    expect(await rest(stream)).toStartWith("refused");
    expect((await control(`/${id}`)).status).toBe(404);
  });

  test("can be one of two, which have separate answers", async () => {
    const stream = texts(await world.server.post(ask("write one.txt+two.txt", { user: "one" })));
    const first = idIn(await next(stream));
    await answer(first, "allow");
    const second = idIn(await next(stream));
    expect(second).not.toBe(first);
    await answer(second, "deny");
    expect(await rest(stream)).toMatch(/^done\nrefused/);
    expect([written("one.txt"), written("two.txt")]).toEqual([true, false]);
  });

  test("does not come again after a yes with a rule", async () => {
    const stream = texts(await world.server.post(ask("write rule1.txt", { user: "rule" })));
    await answer(idIn(await next(stream)), "allow", "Write");
    expect(await rest(stream)).toBe("done");
    expect(await rest(texts(await world.server.post(ask("write rule2.txt", { user: "rule" }))))).toBe("done");
    expect(written("rule2.txt")).toBe(true);
  });

  test("does not come again from a resumed claude, until the session is reset", async () => {
    const first = texts(await world.server.post(ask("write kept1.txt", { user: "kept" })));
    const id = idIn(await next(first));
    expect((await answer(id, "deny", "Write")).status).toBe(400);
    await answer(id, "allow", "Write");
    expect(await rest(first)).toBe("done");
    expect(await latest()).toMatchObject({ verdict: "allow", rule: "Write" });

    const { pid } = (await (await sessions(world, at("user:kept"))).json()) as { pid: number };
    process.kill(pid, "SIGKILL");
    await world.server.logged(/claude exited.*user:kept/);
    const resumed = await world.server.post(ask("write kept2.txt", { user: "kept" }));
    expect([resumed.headers.get("x-synthesis-process"), await rest(texts(resumed))]).toEqual(["resumed", "done"]);
    // The rule does not hold in another conversation.
    const other = texts(await world.server.post(ask("write other.txt", { user: "other" })));
    await answer(idIn(await next(other)), "deny");
    await rest(other);

    await sessions(world, `${at("user:kept")}/reset`, { method: "POST" });
    const anew = texts(await world.server.post(ask("write kept3.txt", { user: "kept" })));
    await answer(idIn(await next(anew)), "deny");
    expect(await rest(anew)).toStartWith("refused");
  });

  test("ends when its client disconnects, and the next turn works", async () => {
    const client = new AbortController();
    const stream = texts(await world.server.post(ask("write left.txt", { user: "left" }), {}, client.signal));
    const id = idIn(await next(stream));
    client.abort();
    await world.server.logged(/permission .*deny.*gone.*user:left/);
    expect((await answer(id, "allow")).status).toBe(404);
    expect(await rest(texts(await world.server.post(ask("hello", { user: "left" }))))).toBe("You said: hello");
    expect(written("left.txt")).toBe(false);
  });
});

test("a prompt without an answer in time is denied", async () => {
  await using hasty = await createWorld({
    env: { SYNTHESIS_PERMISSIONS: "ask", SYNTHESIS_PERMISSION_TIMEOUT_MS: "300" },
  });
  hasty.mock.on(/write/, function* ({ toolResults }) {
    if (toolResults.length === 0)
      yield toolUse("Write", { file_path: join(hasty.claude.workspace, "x"), content: "x" });
    else yield text(toolResults[0]?.content ?? "");
  });
  expect(await rest(texts(await hasty.server.post(ask("write"))))).toContain("in time");
});

test("the chat key cannot read permission prompts", async () => {
  const response = await fetch(`${world.server.url}/v1/permissions`, {
    headers: { authorization: `Bearer ${world.server.key}` },
  });
  expect(response.status).toBe(401);
});
