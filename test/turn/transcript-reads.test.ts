/** How much a turn reads: a transcript grows for months, and no turn may take longer because of that. */
import { expect, test } from "bun:test";
import { appendFileSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { descendants, withCommand } from "../support/processes.ts";
import { say } from "../support/sse.ts";
import { createWorld, type World } from "../support/world.ts";

const MEGABYTE = 1024 * 1024;
const TRANSCRIPT_MB = 64;
/** Far less than the transcript, and more than the code that a server loads when it is first used. */
const FEW = 8 * MEGABYTE;

/** The bytes that a process has read so far, from files and pipes. */
const bytesRead = (pid: number) => Number(/^rchar: (\d+)/.exec(readFileSync(`/proc/${pid}/io`, "utf8"))?.[1]);

/** Adds rows to the only transcript, as if the conversation had lasted for months. */
function addEarlierRows({ claude }: World): void {
  const folder = join(claude.home, ".claude/projects/stand-in");
  const [transcript] = readdirSync(folder).filter((name) => name.endsWith(".jsonl"));
  const content = [{ type: "text", text: "x".repeat(10_000) }];
  const row = `${JSON.stringify({ type: "assistant", message: { id: "earlier", content } })}\n`;
  const rows = row.repeat(Math.ceil(MEGABYTE / row.length));
  for (let size = 0; size < TRANSCRIPT_MB; size += 1) appendFileSync(join(folder, transcript as string), rows);
}

for (const engine of ["interactive", "stream"]) {
  test.skipIf(process.platform !== "linux")(`no turn reads a long transcript from its start (${engine})`, async () => {
    await using world = await createWorld({ standIn: true, env: { SYNTHESIS_ENGINE: engine } });
    const { server } = world;
    const use = { stream_options: { include_usage: true } };
    await say(server, "hello", use);
    addEarlierRows(world);

    const before = bytesRead(server.pid);
    for (let turn = 0; turn < 5; turn += 1) {
      expect((await say(server, `warm ${turn}`, use)).answer).toBe(`You said: warm ${turn}`);
    }
    expect(bytesRead(server.pid) - before).toBeLessThan(FEW);

    // A killed process leaves nothing at the end of the transcript that says what it has used.
    const claudes = withCommand(descendants(server.pid), /stand-in-claude/);
    expect(claudes).toHaveLength(1);
    for (const pid of claudes) process.kill(pid, "SIGKILL");
    await server.logged(/claude exited/);
    const ended = bytesRead(server.pid);
    expect(await say(server, "again", use)).toEqual({ answer: "You said: again", origin: "resumed" });
    expect(bytesRead(server.pid) - ended).toBeLessThan((TRANSCRIPT_MB / 2) * MEGABYTE);
  });
}
