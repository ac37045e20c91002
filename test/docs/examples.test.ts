import { expect, test } from "bun:test";
import { join } from "node:path";
import { readOpenClawConfig } from "../../src/setup/openclaw-config.ts";
import { patchesToAdd } from "../../src/setup/openclaw-patches.ts";
import { createWorld } from "../support/world.ts";

const examples = join(import.meta.dir, "../../examples");

test("examples/curl.sh streams an answer", async () => {
  await using world = await createWorld({ standIn: true });
  const run = (text: string) =>
    Bun.spawn(["sh", join(examples, "curl.sh"), text], {
      env: {
        PATH: process.env.PATH,
        SYNTHESIS_URL: `${world.server.url}/v1`,
        SYNTHESIS_HOME: world.serverEnv.SYNTHESIS_HOME,
      },
    });

  const curl = run('a "quoted" \\ text');
  const printed = await curl.stdout.text();

  expect(await curl.exited).toBe(0);
  expect(printed).toContain("data: [DONE]");
  expect(printed).toContain(String.raw`a \"quoted\" \\ text`);
});

test("examples/openai-sdk.ts has two messages of one conversation answered", async () => {
  await using world = await createWorld({ standIn: true });
  const example = Bun.spawn([process.execPath, join(examples, "openai-sdk.ts")], {
    env: { SYNTHESIS_URL: `${world.server.url}/v1`, SYNTHESIS_API_KEY: world.server.key },
  });

  expect((await example.stdout.text()).trim().split("\n")).toEqual([
    "You said: My favourite colour is green.",
    "You said: What is my favourite colour?",
  ]);
  expect(await example.exited).toBe(0);
});

test.skipIf(Bun.which("python3") === null)("examples/openai_sdk.py is valid Python", async () => {
  const compile = "import ast, sys; ast.parse(open(sys.argv[1]).read())";
  const python = Bun.spawn(["python3", "-c", compile, join(examples, "openai_sdk.py")]);

  expect(await python.exited).toBe(0);
});

test("examples/openclaw.json5 is what `setup openclaw` would write", () => {
  const { config } = readOpenClawConfig(join(examples, "openclaw.json5"));

  const { patches } = patchesToAdd(config, {
    baseUrl: "http://127.0.0.1:18990/v1",
    key: "",
    keySource: "chat.key",
    asDefault: true,
  });

  expect(patches).toEqual([]);
});
