/**
 * `bun run demo` shows a conversation without an API key. The real claude runs on the mock API, OpenAI's own client
 * sends the messages, and each line is printed when it arrives.
 */
import { text, thinking, toolUse } from "./mock-anthropic.ts";
import { createWorld } from "./world.ts";

const started = performance.now();
const seconds = () => `${((performance.now() - started) / 1000).toFixed(1).padStart(5)} s`;
const say = (line: string) => console.log(`${seconds()}  ${line}`);

await using world = await createWorld();
const { mock, server } = world;

/** Text as a model sends it, line by line. */
async function* slowly(lines: string[]) {
  for (const line of lines) {
    yield text(`${line}\n`);
    await Bun.sleep(400);
  }
}
mock.on(/who are you/, async function* () {
  yield thinking("The user wants an introduction. (A thought: you will not see it.)");
  yield* slowly([
    "I am the real Claude Code, running in a terminal of my own.",
    "My words come from a script, so this needs no key and no network.",
    "Everything else is as it will be on your machine:",
    "you read each line while I am writing the next.",
  ]);
});
mock.on(/what is in/, async function* ({ toolResults }) {
  if (toolResults.length === 0) {
    yield* slowly(["Let me look."]);
    yield toolUse("Bash", { command: "echo 'It works.' > note.txt && ls && cat note.txt", description: "Look around" });
  } else yield* slowly([`The shell says: ${toolResults[0]?.content.replaceAll("\n", " / ")}`]);
});
mock.on(/remember/, async function* ({ shown }) {
  yield* slowly([shown.includes("who are you") ? "Yes: first you asked who I am." : "No."]);
});

say(`synthesis listens on ${server.url}/v1`);
for (const question of ["who are you?", "what is in your folder?", "do you remember what I asked first?"]) {
  say(`you:    ${question}`);
  const stream = await server.openai.chat.completions.create({
    model: "synthesis-claude-bridge",
    stream: true,
    user: "demo",
    messages: [{ role: "user", content: question }],
  });
  for await (const chunk of stream) {
    const line = chunk.choices[0]?.delta.content?.trim();
    if (line) say(`claude: ${line}`);
  }
}
say("that was one claude process, three turns");
