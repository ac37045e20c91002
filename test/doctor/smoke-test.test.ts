/** One message through a server and the real Claude Code. */
import { expect, test } from "bun:test";
import { thisProgram } from "../../src/cli/this-program.ts";
import { runSmokeTest } from "../../src/doctor/smoke-test.ts";
import type { HomeOptions } from "../support/claude-home.ts";
import { startMockAnthropic, text } from "../support/mock-anthropic.ts";
import { createFixture } from "./fixture.ts";

async function smokeTest(options: Omit<HomeOptions, "api"> = {}) {
  const mock = startMockAnthropic();
  mock.on(/one word/, function* () {
    yield text("ready");
  });
  using fixture = createFixture({ ...options, env: { ANTHROPIC_BASE_URL: mock.url, SYNTHESIS_ENGINE: "interactive" } });
  const { env, workspace, paths } = fixture;
  const { configFile } = paths;
  const checks = await runSmokeTest({ program: thisProgram(), env, configFile, workspace, flags: {} });
  await mock.stop();
  return checks;
}

test("measures each step from the start of the server to the end of the answer", async () => {
  const checks = await smokeTest();
  expect(checks.map(({ id }) => id)).toEqual([
    "live.server_started",
    "live.message_accepted",
    "live.first_text",
    "live.answer_complete",
    "live.spare",
    "live.ok",
  ]);
});

test("reports a channel that Claude Code refuses", async () => {
  const checks = await smokeTest({ channels: false });
  expect(checks.at(-1)).toMatchObject({
    id: "live.failed",
    result: "failed",
    found: expect.stringContaining("channel"),
  });
});
