/**
 * A stand-in over stream-json: it reads lines from stdin and writes lines to stdout as the real claude does.
 * `test/claude/stream/stand-in.test.ts` compares the two.
 */
import { appendFileSync } from "node:fs";
import { readLines } from "../../src/core/read-lines.ts";
import type { Noise } from "../chaos/orders.ts";
import { StandInAnswer } from "./stand-in-answer.ts";
import type { Link, Message, Self } from "./stand-in-link.ts";
import { StandInOutput } from "./stand-in-output.ts";

/** How long claude gathers changes of a tool list, in ms. */
const LIST_MS = 16;

interface ControlRequest {
  readonly subtype: string;
  readonly sdkMcpServers?: readonly string[];
  readonly servers?: Readonly<Record<string, unknown>>;
  readonly message?: { readonly id?: number; readonly method?: string };
}
interface Response {
  readonly error?: string;
  readonly response?: {
    readonly behavior?: string;
    readonly mcp_response?: { readonly result?: McpResult };
  };
}
interface McpResult {
  readonly tools?: readonly { readonly name: string }[];
  readonly content?: readonly { readonly type: string; readonly text?: string }[];
  readonly isError?: boolean;
}

/** A message of a request that names no conversation is a list of blocks. */
const textOf = (blocks: NonNullable<McpResult["content"]>): string => blocks.map(({ text }) => text ?? "").join("\n");

/** Reads messages from stdin. @param onMessage takes each message */
export function openStream(self: Self, onMessage: (message: Message) => void): Link {
  const output = new StandInOutput();
  const answer = new StandInAnswer(output);
  let pressed = Promise.withResolvers<void>();
  let server = "";
  let tool: string | undefined;
  let mcpId = 0;
  /** Requests without a response, by their ids. */
  const open = new Map<string, { readonly cancel: () => void; readonly settle: (response: Response) => void }>();
  /** Claude begins its first turn when it has the tools. */
  const listed = Promise.withResolvers<void>();
  let isInitialized = false;
  let isBusy = false;
  let isInputOpen = true;
  if (process.env.STAND_IN_ENV) appendFileSync(process.env.STAND_IN_ENV, `${JSON.stringify(process.env)}\n`);

  /** @param onCancel reports that claude no longer waits for the response */
  const request = (body: object, onCancel: (id: string) => void): Promise<Response> => {
    const id = crypto.randomUUID();
    const { promise, resolve } = Promise.withResolvers<Response>();
    const cancel = () => {
      onCancel(id);
      resolve({});
    };
    open.set(id, { cancel, settle: resolve });
    output.write({ type: "control_request", request_id: id, request: body });
    return promise.finally(() => open.delete(id));
  };
  const sendMcp = (message: object, onCancel: () => void) =>
    request({ subtype: "mcp_message", server_name: server, message: { jsonrpc: "2.0", ...message } }, onCancel);
  const notifyMcp = (method: string, params = {}) => sendMcp({ method, params }, () => {});
  const callMcp = async (method: string, params = {}): Promise<McpResult> => {
    const id = mcpId++;
    const { response } = await sendMcp({ method, params, id }, () => {
      void notifyMcp("notifications/cancelled", { requestId: id });
    });
    return response?.mcp_response?.result ?? {};
  };
  const listTools = async () => {
    const { tools = [] } = await callMcp("tools/list");
    const names = tools.map(({ name }) => name).filter((name) => name !== "reply");
    tool = tool === undefined ? names[0] : names.at(-1);
    listed.resolve();
  };
  const connect = async ([name]: readonly string[]) => {
    if (name === undefined) return listed.resolve();
    server = name;
    await callMcp("initialize", { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "" } });
    await notifyMcp("notifications/initialized");
    return listTools();
  };
  const respond = (id: string, response: object) =>
    output.write({ type: "control_response", response: { subtype: "success", request_id: id, response } });

  async function handleRequest(id: string, body: ControlRequest): Promise<void> {
    switch (body.subtype) {
      case "initialize":
        isInitialized = true;
        respond(id, { pid: process.pid });
        return connect(body.sdkMcpServers ?? []);
      case "mcp_set_servers":
        respond(id, { added: Object.keys(body.servers ?? {}), removed: [], errors: {} });
        return connect(Object.keys(body.servers ?? {}));
      case "get_settings":
        return respond(id, { sources: [{ source: "flagSettings" }] });
      case "mcp_message":
        respond(id, { mcp_response: { jsonrpc: "2.0", id: 0, result: {} } });
        if (body.message?.method !== "notifications/tools/list_changed") return;
        await Bun.sleep(LIST_MS);
        return listTools();
      case "interrupt":
        respond(id, { still_queued: [] });
        for (const { cancel } of [...open.values()]) cancel();
        return pressed.resolve();
      default:
        return respond(id, {});
    }
  }

  function handle(text: string): void {
    const line = JSON.parse(text);
    if (line.type === "control_request") void handleRequest(line.request_id, line.request);
    else if (line.type === "control_response") open.get(line.response.request_id)?.settle(line.response);
    else if (line.shouldQuery === false)
      output.write({ type: "result", subtype: "success", is_error: false, result: "" });
    else if (line.type === "user") {
      const { uuid: id = crypto.randomUUID(), message } = line;
      // A server that initializes nothing offers no tools.
      if (!isInitialized) listed.resolve();
      isBusy = true;
      answer.begin(id);
      const prompt = typeof message.content === "string" ? message.content : textOf(message.content);
      const content = /^<channel [^>]*>\n(.*)\n<\/channel>$/s.exec(prompt)?.[1] ?? prompt;
      void listed.promise.then(() => onMessage({ id, content, prompt, again: false }));
    }
  }

  void readLines(Bun.stdin.stream(), handle).then(() => {
    isInputOpen = false;
    // Without input an idle claude exits. Another one finishes its turn first.
    if (!isBusy) self.end(0);
  });

  return {
    get tool() {
      return tool;
    },
    hook: async (body) => {
      if (body.hook_event_name === "PermissionRequest") {
        answer.endMessage("tool_use");
        const { tool_name, tool_input: input } = body as { tool_name?: string; tool_input?: object };
        await request({ subtype: "can_use_tool", tool_name, input, tool_use_id: crypto.randomUUID() }, (id) =>
          output.write({ type: "control_cancel_request", request_id: id }),
        );
      } else answer.report(body);
      await output.written;
    },
    reply: async (content, final) =>
      void (await callMcp("tools/call", { name: "reply", arguments: { content, final } })),
    call: async (id, name, given) => {
      answer.endMessage("tool_use");
      const params = { name, arguments: given, _meta: { "claudecode/toolUseId": id } };
      const { content = [], isError } = await callMcp("tools/call", params);
      const text = content.map((part) => (part.type === "text" ? part.text : "[image]")).join();
      return `${isError ? "✗" : ""}${text}`;
    },
    repeat: (message, text) => answer.repeat(message, text),
    interrupt: () => {
      pressed = Promise.withResolvers();
      return pressed.promise;
    },
    ended: (how, interrupted) => {
      isBusy = false;
      answer.end(how, interrupted);
      if (!isInputOpen) self.end(0);
    },
    obey: (command) => output.fail(command),
    makeNoise: async (noise: Noise) => {
      output.makeNoise(noise);
      if (noise === "unknown request")
        await request({ subtype: "elicitation", mcp_server_name: "s", message: "Which?" }, () => {});
    },
  };
}
