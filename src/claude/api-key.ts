/** Whether claude may use an API key from the environment. In a terminal it asks first; `claude -p` does not. */
import { existsSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { z } from "zod";

const answers = z.looseObject({
  customApiKeyResponses: z.looseObject({ approved: z.array(z.string()) }),
});

/**
 * The answer that a claude in a terminal would act on: the key's owner has once said yes to it there.
 * @param env the environment with the key
 */
export function isApproved(key: string, env: Record<string, string | undefined>): boolean {
  const file = join(env.CLAUDE_CONFIG_DIR || env.HOME || homedir(), ".claude.json");
  if (!existsSync(file)) return false;
  try {
    const { customApiKeyResponses } = answers.parse(JSON.parse(readFileSync(file, "utf8")));
    // claude remembers a key by its last 20 characters.
    return customApiKeyResponses.approved.includes(key.slice(-20));
  } catch {
    // No answer has been given, or claude is writing it: then nothing was approved as far as we know.
    return false;
  }
}
