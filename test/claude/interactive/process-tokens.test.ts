import { expect, test } from "bun:test";
import type { InteractiveProcess } from "../../../src/claude/interactive/process.ts";
import { ProcessTokens } from "../../../src/claude/interactive/process-tokens.ts";

test("finds a process by the token of its plugin or of its hooks until it has exited", async () => {
  const exited = Promise.withResolvers<void>();
  const process = { bridgeToken: "b", hookToken: "h", exited: exited.promise } as unknown as InteractiveProcess;
  const tokens = new ProcessTokens();
  tokens.add(process);
  expect(tokens.byBridgeToken("b")).toBe(process);
  expect(tokens.byHookToken("h")).toBe(process);
  expect(tokens.byHookToken("b")).toBeUndefined();
  expect(tokens.byHookToken(null)).toBeUndefined();

  exited.resolve();
  await Bun.sleep(0);
  expect(tokens.byBridgeToken("b")).toBeUndefined();
  expect(tokens.byHookToken("h")).toBeUndefined();
});
