/** On the real claude: how a client sees the tools that claude runs. */
import { expect, test } from "bun:test";
import { text, toolUse } from "../support/mock-anthropic.ts";
import { ask, events } from "../support/sse.ts";
import { createWorld } from "../support/world.ts";

const SECRET = "hunter2-hunter2";

test.each([
  ["off", ""],
  ["full", "Bash: echo [MY_PASSWORD]; false\nBash: failed\nBash: true\nBash: done\n"],
])("reports tools without the values of variables, as SYNTHESIS_PROGRESS=%s says", async (mode, seen) => {
  await using world = await createWorld({ env: { SYNTHESIS_PROGRESS: mode, MY_PASSWORD: SECRET } });
  world.mock.on(/work/, function* ({ body, toolResults }) {
    const rounds = body.messages.filter(({ content }) => JSON.stringify(content).includes('"tool_result"')).length;
    if (rounds === 0) yield toolUse("Bash", { command: `echo ${SECRET}; false`, description: "Fail" });
    else if (rounds === 1) yield toolUse("Bash", { command: "true", description: "Succeed" });
    else yield text(`done ${toolResults.length}`);
  });
  const all = await Array.fromAsync(events(await world.server.post(ask("work"))));
  const deltas = all.flatMap((event) => (event === "[DONE]" || "error" in event ? [] : event.choices));
  const progress = deltas
    .map(({ delta }) => (delta as { reasoning_content?: string }).reasoning_content ?? "")
    .join("");
  // The duration varies.
  expect(progress.replaceAll(/ after \d+\.\d s/g, "")).toBe(seen);
  expect(deltas.map(({ delta }) => delta.content ?? "").join("")).toBe("done 1");
});
