/** Valid bodies that could make loops and patterns slow. The work on each must grow linearly with its length. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Check, within } from "./check.ts";
import { checkAnswer, post } from "./entries.ts";
import { runAttack } from "./pauses.ts";
import { beginTurn } from "./running-turn.ts";
import { MARKER, RESPONSE_TIMEOUT_MS, type Target } from "./target.ts";

const range = <T>(count: number, one: (at: number) => T): T[] => Array.from({ length: count }, (_, at) => one(at));
const user = (content: unknown) => ({ role: "user", content });
const assistant = (content: string) => ({ role: "assistant", content });
const call = (at: number) => ({ id: `c${at}`, type: "function", function: { name: "look", arguments: "{}" } });
const tool = (at: number) => ({
  type: "function",
  function: { name: `tool${at}`, parameters: { type: "object", properties: {} } },
});

/** @param size the length of a text, in characters @param count the number of messages, calls and tools */
const bodies = (size: number, count: number): [name: string, body: object][] => {
  const text = (unit: string) => unit.repeat(size / unit.length);
  const texts: [string, string][] = [
    ["spaces", `a${text(" ")}a`],
    ["line ends", `a${text("\n")}a`],
    ["line ends and spaces", `a${text("\n ")}a`],
    ["carriage returns", `a${text("\r")}a`],
    ["opening tags", text("<context>")],
    ["opening channel tags", text("<channel ")],
    ["code fences", text("```\n")],
    ["opening brackets", text("[")],
    ["brackets like OpenClaw's timestamps", text("[Sat 2026-11-21 ")],
    ["OpenClaw's notes of an earlier message", text("[Queued user message from a previous active turn; ")],
    ["OpenClaw's context marks", text("<<<BEGIN_OPENCLAW_INTERNAL_CONTEXT>>>\n")],
    ["OpenClaw's runtime lines", text("\n\nRuntime: agent=a | session=b | ")],
    ["aborted turns", text("<turn_aborted>")],
    ["assignments that look like secrets", text("API_KEY=")],
    ["yes and no", text("yes no ")],
    ["slashes", text("/")],
    ["speaker lines", text("User: a\nAssistant: ")],
  ];
  return [
    ...texts.flatMap(([name, content]): [string, object][] => [
      [`a message of ${name}`, { messages: [user(content)] }],
      [`a system prompt of ${name}`, { messages: [{ role: "system", content }, user(MARKER)] }],
      [`a history of ${name}`, { messages: [user(content), assistant(content), user(MARKER)] }],
    ]),
    [
      "an image after white space",
      {
        messages: [
          user([{ type: "image_url", image_url: { url: `data:image/png;base64,${text(" ")}A${text(" ")}!` } }]),
        ],
      },
    ],
    [
      "a file after white space",
      { messages: [user([{ type: "file", file: { file_data: `data:text/plain${text(" ")};base64,${text("\n")}` } }])] },
    ],
    [
      "a long history",
      { messages: [...range(count, (at) => (at % 2 ? assistant(`${at}`) : user(`${at}`))), user(MARKER)] },
    ],
    [
      "a long history of identical messages",
      { messages: [...range(count, (at) => (at % 2 ? assistant("a") : user("a"))), user(MARKER)] },
    ],
    ["many messages at once", { messages: range(count, (at) => user(`${at}`)) }],
    ["many parts of one message", { messages: [user(range(count, () => ({ type: "text", text: "a" })))] }],
    [
      "many calls with their results",
      {
        messages: [
          user("a"),
          { role: "assistant", content: null, tool_calls: range(count, call) },
          ...range(count, (at) => ({ role: "tool", tool_call_id: `c${count - 1 - at}`, content: MARKER })),
        ],
      },
    ],
    [
      "many results of unknown calls",
      { messages: [user("a"), ...range(count, (at) => ({ role: "tool", tool_call_id: `x${at}`, content: MARKER }))] },
    ],
    [
      "many calls, one after the other",
      {
        messages: [
          user("a"),
          ...range(count / 2, (at) => [
            { role: "assistant", content: null, tool_calls: [call(at)] },
            { role: "tool", tool_call_id: `c${at}`, content: MARKER },
          ]).flat(),
        ],
      },
    ],
    [
      "many tools, all of them allowed by name",
      {
        messages: [user(MARKER)],
        tools: range(count, tool),
        tool_choice: {
          type: "allowed_tools",
          allowed_tools: { mode: "auto", tools: range(count, (at) => tool(count - 1 - at)) },
        },
      },
    ],
    ["many tools with the same name", { messages: [user(MARKER)], tools: range(count, () => tool(0)) }],
    ["many functions", { messages: [user(MARKER)], functions: range(count, (at) => tool(at).function) }],
  ];
};

async function hookOfATurn(target: Target, body: object): Promise<void> {
  const hook = await beginTurn(target, "slow-hooks");
  try {
    await hook(body);
  } finally {
    await hook.disconnect();
  }
}

const hookBodies = (size: number): [name: string, body: object][] => {
  const pre = (tool_name: string, tool_input: object) => ({
    hook_event_name: "PreToolUse",
    tool_use_id: "t",
    tool_name,
    tool_input,
  });
  return [
    ["a Bash command of spaces", pre("Bash", { command: `a${" ".repeat(size)}a` })],
    ["a Bash command of line ends", pre("Bash", { command: `a${" \n".repeat(size / 2)}a` })],
    ["a Bash command of assignments", pre("Bash", { command: "API_KEY= ".repeat(size / 9) })],
    ["a file path of slashes", pre("Read", { file_path: "/".repeat(size) })],
    [
      "a permission for invisible characters",
      { hook_event_name: "PermissionRequest", tool_name: "Write", tool_input: { content: "\u200b".repeat(size / 3) } },
    ],
    [
      "a text of line ends",
      { hook_event_name: "MessageDisplay", message_id: "m", index: 0, final: true, delta: `a${"\n".repeat(size)}a` },
    ],
  ];
};

/** Outputs of a one-shot's process that are expensive to read. */
const printed = (size: number): [name: string, text: string][] => [
  ["a code fence and line ends", `\`\`\`json\n${"\n".repeat(size)}x`],
  ["a code fence and spaces", `\`\`\`json${" ".repeat(size)}x`],
  ["code fences", "```\n".repeat(size / 4)],
  ["spaces", `${" ".repeat(size)}x`],
];

async function oneShot(target: Target, answer: string): Promise<void> {
  const usage = { input_tokens: 1, output_tokens: 1 };
  const lines = [
    { type: "assistant", message: { id: "m", content: [{ type: "text", text: answer }] } },
    { type: "result", is_error: false, result: answer, usage },
  ];
  const file = join(target.state, "../printed");
  writeFileSync(file, lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
  target.setOneShotScript(`exec cat '${file}'`);
  const body = { messages: [user(MARKER)], response_format: { type: "json_object" } };
  await checkAnswer(await within(target.server().post(body), RESPONSE_TIMEOUT_MS, "an answer to one request"));
  target.setOneShotScript("exit 1");
}

export const slowWork = (target: Target, size: number, count: number): Check[] => [
  ...bodies(size, count).map(([name, body]) => ({
    name: `slow work: ${name}`,
    run: () =>
      runAttack(target, async () => {
        const { url, key } = target.server();
        const sent = Buffer.from(JSON.stringify({ user: "slow", ...body }));
        await post(`${url}/v1/chat/completions`, { authorization: `Bearer ${key}` }, sent);
      }),
  })),
  ...hookBodies(size).map(([name, body]) => ({
    name: `slow work: hook with ${name}`,
    run: () => runAttack(target, () => hookOfATurn(target, body)),
  })),
  ...printed(size).map(([name, answer]) => ({
    name: `slow work: answer of a one-shot with ${name}`,
    run: () => runAttack(target, () => oneShot(target, answer)),
  })),
];
