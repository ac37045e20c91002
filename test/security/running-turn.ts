/** A running turn, and hooks that are sent as its claude. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { eventually } from "./check.ts";
import { post } from "./entries.ts";
import { MARKER, RESPONSE_TIMEOUT_MS, type Target } from "./target.ts";

interface PostHook {
  (body: object): Promise<void>;
  /** Disconnects the client, and resolves when its response has ended. */
  disconnect(): Promise<void>;
}

/** Starts a turn on which the stand-in works until it is interrupted. */
export async function beginTurn(target: Target, user: string): Promise<PostHook> {
  const { hook } = await target.secrets(user);
  const { url, post: ask } = target.server();
  const client = new AbortController();
  const asked = `hang ${MARKER} ${crypto.randomUUID()}`;
  const body = { stream: true, user, messages: [{ role: "user", content: asked }] };
  // Not awaited: the response begins with the answer, and this turn writes none.
  const answer = ask(body, {}, client.signal)
    .then((response) => response.text())
    // `disconnect` aborts the request.
    .catch(() => "");
  const folder = join(target.home, ".claude/projects/stand-in");
  let prompt_id: string | undefined;
  const recorded = () => {
    if (!existsSync(folder)) return false;
    const rows = readdirSync(folder).flatMap((name) => readFileSync(join(folder, name), "utf8").split("\n"));
    const row = rows.find((line) => line.includes(asked));
    prompt_id = row ? JSON.parse(row).promptId : undefined;
    return prompt_id !== undefined;
  };
  await eventually(recorded, RESPONSE_TIMEOUT_MS, "the stand-in records its message");
  const send = async (body: object) => {
    const common = { session_id: "s", transcript_path: "/nowhere.jsonl", prompt_id };
    const sent = Buffer.from(JSON.stringify({ ...common, ...body }));
    await post(`${url}/hooks`, { authorization: `Bearer ${hook}` }, sent);
  };
  return Object.assign(send, {
    disconnect: async () => {
      client.abort();
      await answer;
    },
  });
}
