import { expect, test } from "bun:test";
import type { JSONRPCMessage } from "@modelcontextprotocol/server";
import { ToolServer } from "../../../src/claude/stream/tool-server.ts";
import { offeredTool } from "../launch-spec.ts";

async function createServer() {
  const cancelled: string[] = [];
  const calls: string[] = [];
  const server = new ToolServer({
    mode: "live",
    tools: () => [offeredTool("look").definition],
    isConnected: () => true,
    connect: () => {},
    send: () => {},
    onCall: ({ id }) => calls.push(id),
    onCancel: (id) => cancelled.push(id),
    onReply: () => {},
    onListed: () => {},
  });
  const clientInfo = { name: "claude", version: "1" };
  const params = { protocolVersion: "2025-06-18", capabilities: {}, clientInfo };
  await server.handle({ jsonrpc: "2.0", id: 0, method: "initialize", params } as JSONRPCMessage);
  await server.handle({ jsonrpc: "2.0", method: "notifications/initialized" });
  return { server, cancelled, calls };
}

const call = (id: number, toolUse: string) =>
  ({
    jsonrpc: "2.0",
    id,
    method: "tools/call",
    params: { name: "look", arguments: {}, _meta: { "claudecode/toolUseId": toolUse } },
  }) as JSONRPCMessage;

test("a call that Claude Code cancels is forgotten, and gets no response", async () => {
  const { server, cancelled, calls } = await createServer();
  const response = server.handle(call(1, "toolu_1"));
  while (calls.length === 0) await Bun.sleep(1);
  const params = { requestId: 1, reason: "interrupted" };
  await server.handle({ jsonrpc: "2.0", method: "notifications/cancelled", params });
  expect(await response).toBeNull();
  expect(cancelled).toEqual(["toolu_1"]);
});
