/** `/v1/permissions` with a broker of its own: the bodies have the shape that the command line reads. */
import { expect, test } from "bun:test";
import { RequestError } from "../../src/core/errors.ts";
import { onlyNode } from "../../src/http/owner-node.ts";
import { permissionRoutes } from "../../src/http/routes/permissions.ts";
import type { PendingPrompt, PermissionBroker } from "../../src/permissions/broker.ts";
import type { PermissionLog } from "../../src/store/permissions.ts";
import { permissionList, permissionPromptDetails } from "../../src/wire/permissions.ts";

const prompt = (id: string, more: Partial<PendingPrompt> = {}): PendingPrompt => ({
  id,
  session: "user:me",
  turn: "turn",
  tool: "Write",
  input: { file_path: "/a" },
  sender: null,
  description: "Write: /a",
  askedAt: 1,
  ...more,
});
const content = { text: "hello", bytes: 5, sha256: "2cf24dba" };

/** The routes with two prompts: `a2b3` with content, `c4d5` without content and input. */
function routes() {
  const pending = [prompt("a2b3", { content }), prompt("c4d5", { input: undefined })];
  const answers: unknown[] = [];
  const permissions = {
    pending,
    answer: (id: string, decision: object) => {
      if (!pending.some((one) => one.id === id)) return false;
      answers.push({ id, ...decision });
      return true;
    },
  } as unknown as PermissionBroker;
  const decided = { id: "x", input: "{}", verdict: "deny", way: "timeout", rule: null, decidedBy: null, decidedAt: 2 };
  const permissionLog = {
    latest: () => [{ session: "user:me", turn: null, tool: "Bash", sender: null, askedAt: 1, ...decided }],
  } as unknown as PermissionLog;
  const app = permissionRoutes({ ownerNode: onlyNode, permissions, permissionLog }).onError((error, c) =>
    c.json({ code: error instanceof RequestError ? error.code : "unexpected" }, 400),
  );
  const env = { server: { timeout: () => {} } };
  return {
    answers,
    get: async (path: string) => (await app.request(path, {}, env)).json(),
    post: async (path: string, body: object) => {
      const headers = { "content-type": "application/json" };
      return (await app.request(path, { method: "POST", headers, body: JSON.stringify(body) }, env)).json();
    },
  };
}

test("lists the prompts that wait and the latest of the log", async () => {
  const { data, latest } = permissionList.parse(await routes().get("/"));
  expect(data).toMatchObject([{ id: "a2b3", input: { file_path: "/a" }, asked_at: 1 }, { id: "c4d5" }]);
  expect(latest).toMatchObject([{ tool: "Bash", verdict: "deny", way: "timeout", decided_at: 2 }]);
});

test("shows one prompt with its content", async () => {
  const { get } = routes();
  expect(permissionPromptDetails.parse(await get("/a2b3")).content).toEqual(content);
  expect(permissionPromptDetails.parse(await get("/c4d5")).content).toBeNull();
  expect(await get("/none")).toEqual({ code: "permission_not_found" });
});

test("passes a verdict on to the broker", async () => {
  const { answers, post } = routes();
  expect(await post("/a2b3", { behavior: "allow", rule: "Bash(git push *)" })).toEqual({
    id: "a2b3",
    behavior: "allow",
  });
  expect(answers).toEqual([{ id: "a2b3", behavior: "allow", rule: "Bash(git push *)", way: "control", by: null }]);
  expect(await post("/none", { behavior: "deny" })).toEqual({ code: "permission_not_found" });
});

test("rejects a verdict with an invalid rule, and a denial with a rule", async () => {
  const { answers, post } = routes();
  for (const body of [{ behavior: "allow", rule: "rm -rf" }, { behavior: "deny", rule: "Bash" }, { behavior: "ask" }]) {
    expect(await post("/a2b3", body)).toEqual({ code: "invalid_request" });
  }
  expect(answers).toEqual([]);
});
