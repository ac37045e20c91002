/** Two messages of one conversation, with OpenAI's SDK: `bun examples/openai-sdk.ts` */
import { readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import OpenAI from "openai";

const home = process.env.SYNTHESIS_HOME ?? join(homedir(), ".synthesis");
const client = new OpenAI({
  baseURL: process.env.SYNTHESIS_URL ?? "http://127.0.0.1:18990/v1",
  apiKey: process.env.SYNTHESIS_API_KEY ?? readFileSync(join(home, "chat.key"), "utf8").trim(),
});

async function say(content: string): Promise<void> {
  const stream = await client.chat.completions.create({
    model: "synthesis-claude-bridge",
    stream: true,
    // Names the conversation: the same Claude answers every message of this user.
    user: "typescript-example",
    messages: [{ role: "user", content }],
  });
  for await (const chunk of stream) process.stdout.write(chunk.choices[0]?.delta.content ?? "");
  process.stdout.write("\n");
}

await say("My favourite colour is green.");
await say("What is my favourite colour?");
