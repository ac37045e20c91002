/** A client that openapi-typescript generates from the server's OpenAPI document compiles, and works. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import openapiTS, { astToString } from "openapi-typescript";
import { controlKey } from "../support/control.ts";
import { createHttpWorld, type HttpWorld } from "../support/http-world.ts";

/** A program of a user: each line must compile, and would not with another type. */
const PROGRAM = `import createClient from "openapi-fetch";
import type { paths } from "./schema";

const [baseUrl = "", chatKey = "", controlKey = ""] = process.argv.slice(2);
const client = createClient<paths, "application/json">({ baseUrl });
const as = (key: string) => ({ headers: { authorization: \`Bearer \${key}\` } });

const chat = await client.POST("/v1/chat/completions", {
  ...as(chatKey),
  body: { user: "me", messages: [{ role: "user", content: "hello" }] },
});
const text: string | null | undefined = chat.data?.choices[0]?.message.content;
const session = await client.GET("/v1/sessions/{key}", { ...as(controlKey), params: { path: { key: "user:me" } } });
const turns: number | undefined = session.data?.turns;
const usage = await client.GET("/v1/usage", { ...as(controlKey), params: { query: { by: "model" } } });
const done: number | undefined = usage.data?.total.turns.done;
const refused = await client.POST("/v1/chat/completions", { ...as("sk-wrong"), body: { messages: [] } });
const code: string | undefined = refused.error?.error.code;
// @ts-expect-error a role that there is not
await client.POST("/v1/chat/completions", { ...as(chatKey), body: { messages: [{ role: "robot", content: "" }] } });
console.log(JSON.stringify({ text, turns, done, code }));
`;

let world: HttpWorld;
let folder: string;
beforeAll(async () => {
  world = await createHttpWorld();
  // Inside this folder, so that the client's library is found.
  folder = mkdtempSync(join(import.meta.dir, "generated-"));
});
afterAll(async () => {
  rmSync(folder, { recursive: true });
  await world[Symbol.asyncDispose]();
});

async function run(command: string[]): Promise<{ out: string; code: number }> {
  const child = Bun.spawn(command, { cwd: folder, stdout: "pipe", stderr: "pipe" });
  const [out, err] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  return { out: out + err, code: await child.exited };
}

test("the generated client", async () => {
  const document = new URL("/openapi.json", world.server.url);
  writeFileSync(join(folder, "schema.d.ts"), astToString(await openapiTS(document)));
  writeFileSync(join(folder, "program.ts"), PROGRAM);
  const compilerOptions = {
    strict: true,
    noEmit: true,
    module: "esnext",
    moduleResolution: "bundler",
    target: "esnext",
  };
  const types = { types: ["bun-types"], typeRoots: ["../../../node_modules"], skipLibCheck: true };
  const config = { compilerOptions: { ...compilerOptions, ...types }, include: ["."] };
  writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(config));
  expect(await run([join(import.meta.dir, "../../node_modules/.bin/tsc"), "-p", "."])).toEqual({ out: "", code: 0 });

  const { out } = await run([process.execPath, "program.ts", world.server.url, world.server.key, controlKey(world)]);
  expect(JSON.parse(out)).toEqual({ text: "You said: hello", turns: 1, done: 1, code: "invalid_api_key" });
});
