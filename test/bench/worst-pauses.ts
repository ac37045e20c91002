/** The longest time for which the event loop of a server stands still, for the worst bodies that are accepted. */
import { join } from "node:path";
import { createClaudeHome } from "../support/claude-home.ts";
import { createPauseFile } from "../support/pauses.ts";
import { preloaded, startServer } from "../support/server.ts";
import { standInClaude } from "../support/world.ts";
import { worstBodies } from "../support/worst-bodies.ts";
import { ask, endWithBench } from "./load.ts";

export async function measureWorstPauses(): Promise<void> {
  const home = createClaudeHome({ api: "http://127.0.0.1:9" });
  const pauseFile = createPauseFile(join(home.base, "pauses.txt"));
  const env = {
    ...home.env,
    ...pauseFile.env,
    SYNTHESIS_HOME: join(home.base, "pauses"),
    SYNTHESIS_CLAUDE_BIN: standInClaude(home.base),
    SYNTHESIS_ENGINE: "interactive",
  };
  const server = endWithBench(await startServer(env, preloaded("record-pauses.ts")));
  const longestPause = async (): Promise<number> => {
    for (let request = 0; request < 2; request += 1) await fetch(`${server.url}/health`);
    return pauseFile.longest();
  };
  await ask(server, "worst", "hello");
  await longestPause();
  const pauses: [what: string, ms: number][] = [];
  for (const [what, body] of Object.entries(worstBodies)) {
    const headers = { "content-type": "application/json", authorization: `Bearer ${server.key}` };
    const url = `${server.url}/v1/chat/completions`;
    await (await fetch(url, { method: "POST", headers, body: body() })).text();
    pauses.push([what, await longestPause()]);
  }
  await server.stop();
  home.remove();
  pauses.sort(([, one], [, other]) => other - one);
  console.log("\n| the longest pauses of the event loop, for the worst bodies that are accepted | ms |\n|---|---|");
  for (const [what, ms] of pauses.slice(0, 5)) console.log(`| ${what} | ${ms.toFixed(0)} |`);
}

if (import.meta.main) {
  await measureWorstPauses();
  process.exit(0);
}
