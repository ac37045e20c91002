/** Answers as events and as response objects, read by OpenAI's own library. */
import { describe, expect, test } from "bun:test";
import type OpenAI from "openai";
import { ResponseStream } from "openai/lib/responses/ResponseStream";
import { responseWriter } from "../../../src/api/openai-responses/events.ts";
import { responsesRequest } from "../../../src/api/openai-responses/request.ts";
import { RequestError } from "../../../src/core/errors.ts";
import type { ResponsePart } from "../../../src/core/response-part.ts";

type Event = OpenAI.Responses.ResponseStreamEvent;

const HEAD = { id: "resp_0123", created: 1_700_000_000, model: "m" };
const CALL = { id: "call1", name: "look", arguments: '{"a":1}' };
const PATCH = { id: "call2", name: "patch", arguments: '{"input":"*** Begin"}' };
const USAGE: ResponsePart = { type: "usage", usage: { input: 5, cached: 3, output: 2 } };

const writer = (request: object = {}) =>
  responseWriter(() => HEAD, responsesRequest.parse({ input: "hi", ...request }));

function streamed(parts: readonly ResponsePart[], request: object = {}): Event[] {
  const { start, part, end } = writer(request);
  const text = start() + parts.map(part).join("") + end();
  return [...text.matchAll(/^event: (.*)\ndata: (.*)\n\n/gm)].map(([, type, json]) => {
    const event = JSON.parse(json ?? "");
    expect(event.type).toBe(type);
    return event;
  });
}
const types = (events: readonly Event[]) => events.map(({ type }) => type.replace("response.", ""));

/** The response as OpenAI's library puts it together from the events. */
function assembled(events: readonly Event[]): Promise<OpenAI.Responses.Response> {
  const lines = events.map((event) => `${JSON.stringify(event)}\n`).join("");
  return ResponseStream.fromReadableStream(new Response(lines).body as ReadableStream).finalResponse();
}

const cases: readonly [string, readonly ResponsePart[], object, readonly string[], object][] = [
  [
    "text",
    [{ type: "text", text: "hi " }, { type: "text", text: "there" }, { type: "finish" }, USAGE],
    {},
    [
      "created",
      "in_progress",
      "output_item.added",
      "content_part.added",
      "output_text.delta",
      "output_text.delta",
      "output_text.done",
      "content_part.done",
      "output_item.done",
      "completed",
    ],
    {
      status: "completed",
      output_text: "hi there",
      usage: { input_tokens: 5, output_tokens: 2, total_tokens: 7, input_tokens_details: { cached_tokens: 3 } },
    },
  ],
  [
    "progress before the text, and none after it",
    [
      { type: "progress", text: "Reading" },
      { type: "text", text: "hi" },
      { type: "progress", text: "Writing" },
      { type: "finish" },
    ],
    {},
    [
      "created",
      "in_progress",
      "output_item.added",
      "reasoning_summary_part.added",
      "reasoning_summary_text.delta",
      "reasoning_summary_text.done",
      "reasoning_summary_part.done",
      "output_item.done",
      "output_item.added",
      "content_part.added",
      "output_text.delta",
      "output_text.done",
      "content_part.done",
      "output_item.done",
      "completed",
    ],
    { output: [{ type: "reasoning", summary: [{ text: "Reading" }] }, { type: "message" }], output_text: "hi" },
  ],
  [
    "calls of a function, of a custom tool and of a function in a namespace",
    [{ type: "calls", calls: [CALL, PATCH, { ...CALL, id: "call3", name: "crm.look" }] }],
    {
      tools: [
        { type: "custom", name: "patch" },
        { type: "namespace", name: "crm", tools: [{ type: "function", name: "look" }] },
      ],
    },
    [
      "created",
      "in_progress",
      "output_item.added",
      "function_call_arguments.delta",
      "function_call_arguments.done",
      "output_item.done",
      "output_item.added",
      "custom_tool_call_input.delta",
      "custom_tool_call_input.done",
      "output_item.done",
      "output_item.added",
      "function_call_arguments.delta",
      "function_call_arguments.done",
      "output_item.done",
      "completed",
    ],
    {
      status: "completed",
      output: [
        { type: "function_call", call_id: "call1", name: "look", arguments: '{"a":1}' },
        { type: "custom_tool_call", call_id: "call2", name: "patch", input: "*** Begin" },
        { type: "function_call", call_id: "call3", namespace: "crm", name: "look" },
      ],
    },
  ],
  [
    "an answer that was cut off",
    [
      { type: "text", text: "hi" },
      { type: "finish", reason: "length" },
    ],
    {},
    [
      "created",
      "in_progress",
      "output_item.added",
      "content_part.added",
      "output_text.delta",
      "output_text.done",
      "content_part.done",
      "output_item.done",
      "incomplete",
    ],
    { status: "incomplete", incomplete_details: { reason: "max_output_tokens" }, output: [{ status: "incomplete" }] },
  ],
  [
    "an answer without text",
    [{ type: "finish" }],
    {},
    [
      "created",
      "in_progress",
      "output_item.added",
      "content_part.added",
      "output_text.done",
      "content_part.done",
      "output_item.done",
      "completed",
    ],
    { status: "completed", output_text: "" },
  ],
];

describe("a stream", () => {
  test.each(cases)("of %s has OpenAI's events in OpenAI's order", async (_name, parts, request, wanted, response) => {
    const events = streamed(parts, request);

    expect(types(events)).toEqual([...wanted]);
    expect(events.map(({ sequence_number }) => sequence_number)).toEqual([...events.keys()]);
    expect(await assembled(events)).toMatchObject(response);
  });

  test.each([
    ["rate_limited", "rate_limit_exceeded"],
    ["claude_exited", "server_error"],
    ["turn_interrupted", "invalid_prompt"],
    ["context_length_exceeded", "context_length_exceeded"],
  ] as const)("that fails with %s ends with an error and a failed response", (code, shown) => {
    const error = new RequestError(code, "It failed.");
    const events = streamed([
      { type: "text", text: "hi" },
      { type: "error", error },
    ]);

    expect(types(events).slice(-3)).toEqual(["output_item.done", "error", "failed"]);
    expect(events.at(-2)).toMatchObject({ code, message: "It failed.", param: null });
    expect(events.at(-1)).toMatchObject({ response: { status: "failed", error: { code: shown } } });
  });

  test("stays alive with comments, which no library reads", () => {
    expect(writer().heartbeat()).toMatch(/^: .*\n\n$/);
  });
});

test("a whole response has the same items as a stream", () => {
  const { whole } = writer({ metadata: { a: "b" }, instructions: "Be brief." });
  const parts = { progress: "Reading", text: "hi", calls: [CALL], cutOff: null, usage: null };

  expect(whole(parts)).toMatchObject({
    object: "response",
    status: "completed",
    metadata: { a: "b" },
    instructions: "Be brief.",
    output: [{ type: "reasoning" }, { type: "message", content: [{ text: "hi" }] }, { type: "function_call" }],
  });
});
