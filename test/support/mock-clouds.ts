/**
 * Bedrock, Vertex and Foundry in front of the mock of Anthropic's API, as far as Claude Code uses them: the same messages
 * at other addresses, and from Bedrock as a stream in Amazon's binary form.
 */
import { EventStreamCodec } from "@smithy/eventstream-codec";
import { readLines } from "../../src/core/read-lines.ts";

export type Cloud = "bedrock" | "vertex" | "foundry";

interface MockClouds {
  /** The environment with which Claude Code uses a cloud, without any login. */
  env(cloud: Cloud): Record<string, string>;
  stop(): Promise<void>;
}

/** @param api the address of the mock of Anthropic's API */
export function startMockClouds(api: string): MockClouds {
  const ask = async (request: Request, more: object): Promise<Response> =>
    fetch(`${api}/v1/messages`, {
      method: "POST",
      body: JSON.stringify({ ...((await request.json()) as object), ...more }),
      signal: request.signal,
    });
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    idleTimeout: 0,
    fetch: async (request) => {
      const { pathname } = new URL(request.url);
      const [, bedrock, call] = /^\/model\/(.+)\/(invoke.*)$/.exec(pathname) ?? [];
      if (bedrock !== undefined) {
        const isStream = call === "invoke-with-response-stream";
        const answer = await ask(request, { model: decodeURIComponent(bedrock), stream: isStream });
        return isStream && answer.ok ? inAmazonsForm(answer) : answer;
      }
      const [, vertex, method] = /\/models\/([^/]+):(\w+)$/.exec(pathname) ?? [];
      if (vertex !== undefined) return ask(request, { model: vertex, stream: method === "streamRawPredict" });
      if (pathname === "/foundry/v1/messages") return ask(request, {});
      return new Response(null, { status: 404 });
    },
  });
  const url = `http://127.0.0.1:${server.port}`;
  const variables: Readonly<Record<Cloud, Record<string, string>>> = {
    bedrock: {
      CLAUDE_CODE_USE_BEDROCK: "1",
      CLAUDE_CODE_SKIP_BEDROCK_AUTH: "1",
      ANTHROPIC_BEDROCK_BASE_URL: url,
      AWS_REGION: "us-east-1",
    },
    vertex: {
      CLAUDE_CODE_USE_VERTEX: "1",
      CLAUDE_CODE_SKIP_VERTEX_AUTH: "1",
      ANTHROPIC_VERTEX_BASE_URL: `${url}/v1`,
      ANTHROPIC_VERTEX_PROJECT_ID: "project",
      CLOUD_ML_REGION: "us-east5",
    },
    foundry: {
      CLAUDE_CODE_USE_FOUNDRY: "1",
      ANTHROPIC_FOUNDRY_BASE_URL: `${url}/foundry`,
      ANTHROPIC_FOUNDRY_API_KEY: "made-up-key-of-foundry",
    },
  };
  return { env: (cloud) => variables[cloud], stop: () => server.stop(true) };
}

/** The events of a server-sent stream as the messages of Amazon's `vnd.amazon.eventstream`. */
function inAmazonsForm(answer: Response): Response {
  const decoder = new TextDecoder();
  const encoder = new TextEncoder();
  const codec = new EventStreamCodec(
    (bytes) => decoder.decode(bytes as Uint8Array),
    (text) => encoder.encode(text),
  );
  const string = (value: string) => ({ type: "string" as const, value });
  const headers = {
    ":event-type": string("chunk"),
    ":content-type": string("application/json"),
    ":message-type": string("event"),
  };
  const body = new ReadableStream({
    start: async (controller) => {
      await readLines(answer.body as ReadableStream<Uint8Array>, (line) => {
        const data = /^data: (.*)/.exec(line)?.[1];
        if (data === undefined) return;
        const payload = JSON.stringify({ bytes: Buffer.from(data).toString("base64") });
        controller.enqueue(codec.encode({ headers, body: encoder.encode(payload) }));
      });
      controller.close();
    },
  });
  return new Response(body, { headers: { "content-type": "application/vnd.amazon.eventstream" } });
}
