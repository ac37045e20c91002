/** Lists of a fleet while nodes do not answer and their leases hold: their conversations are neither here nor free. */
import { expect, test } from "bun:test";
import { PROGRAM } from "../support/server.ts";
import { answerText, ask } from "../support/sse.ts";
import { createFleet, type TestNode } from "./world.ts";

test("a list names the nodes that do not answer, whether they have ended or stand still", async () => {
  await using fleet = await createFleet({ nodes: 3, standIn: true, leaseMs: 60_000 });
  const [here, killed, frozen] = fleet.nodes as [TestNode, TestNode, TestNode];
  for (const node of fleet.nodes) {
    expect(await answerText(await node.server.post(ask("hello", { user: node.name })))).toBe("You said: hello");
  }
  const list = async (...words: string[]) => {
    const child = Bun.spawn([...PROGRAM, ...words, "--json"], { env: here.env, stdout: "pipe", stderr: "pipe" });
    const [out, warnings] = await Promise.all([child.stdout.json(), child.stderr.text()]);
    return { out, warnings: warnings.trim().split("\n").filter(Boolean).sort() };
  };
  const keys = fleet.nodes.map(({ name }) => `user:${name}`);
  const all = await list("sessions", "list");
  expect([all.out.map(({ key }: { key: string }) => key).sort(), all.warnings]).toEqual([keys, []]);

  await killed.server.stop("SIGKILL");
  process.kill(frozen.server.pid, "SIGSTOP");
  try {
    const warnings = [killed, frozen].map(
      ({ name }) => `The node ${name} does not answer, so what it has is missing here.`,
    );
    const [sessions, prompts] = await Promise.all([list("sessions", "list"), list("permissions", "list")]);
    expect([sessions.out.map(({ key }: { key: string }) => key), sessions.warnings]).toEqual([
      ["user:node-a"],
      warnings,
    ]);
    expect(prompts.out.missing_nodes.sort()).toEqual([killed.name, frozen.name]);
    expect(prompts.warnings).toEqual(warnings);
  } finally {
    process.kill(frozen.server.pid, "SIGCONT");
  }
}, 120_000);
