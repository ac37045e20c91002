/**
 * What happens to the fields of each request body. The OpenAPI document has it as their descriptions, and
 * `bun run docs` makes the tables of fields in docs/http-api.md from it.
 */

/** `others` stands for the fields that no row names. A path such as `text.format` names a field inside another. */
type Row = readonly [fields: readonly string[], what: string];

/** By method and path of the operation. */
export const FIELDS: Readonly<Record<string, readonly Row[]>> = {
  "POST /v1/chat/completions": [
    [
      ["model"],
      "`synthesis-claude-bridge` is Claude Code's own default. `opus`, `sonnet`, `haiku`, `fable`, `opusplan` and full names such as `claude-opus-5-5` are passed to Claude Code. Any other name is refused (404). See [Several models](guide.md#several-models-in-one-chat).",
    ],
    [
      ["reasoning_effort"],
      "Claude Code's effort. `none` and `minimal` become `low`. A change restarts the conversation's process, except over stream-json.",
    ],
    [["messages"], "See below."],
    [["stream", "stream_options.include_usage"], "As in OpenAI's API."],
    [["user", "prompt_cache_key"], "Name the conversation; `prompt_cache_key` only in OpenClaw's form."],
    [["response_format"], "The answer is JSON that fits. See [JSON answers](#json-answers)."],
    [["n", "modalities", "audio"], "Only one answer and only text are possible. Anything else is refused (400)."],
    [
      ["tools", "tool_choice", "parallel_tool_calls"],
      "Become tools of the conversation's Claude (`SYNTHESIS_CLIENT_TOOLS`). Calls come as `tool_calls`; results go back as `role: \"tool\"` messages. `required`, or the name of a tool, is passed on as a request, because nothing can force Claude; if Claude cannot be offered such a tool, it is refused (400, not for OpenClaw). Tools that are no functions are left out. A client other than OpenClaw that brings tools for files and shells, as opencode, Continue and Cline do, gets its own tools used: Claude then has none of its own for them (`SYNTHESIS_CLAUDE_TOOLS`), except `Read` while messages have images or files. A request without a name has the client's tools, and none of Claude's own, whatever these settings say.",
    ],
    [
      ["functions", "function_call"],
      'Read as `tools` and `tool_choice` when the request has no `tools`. The answer then ends with one `function_call`, and the result goes back as a `role: "function"` message.',
    ],
    [
      [
        "max_tokens",
        "max_completion_tokens",
        "temperature",
        "top_p",
        "stop",
        "seed",
        "logprobs",
        "logit_bias",
        "presence_penalty",
        "frequency_penalty",
        "metadata",
        "store",
        "service_tier",
        "prediction",
        "verbosity",
        "web_search_options",
        "others",
      ],
      "Ignored, because Claude Code has no such option.",
    ],
  ],
  "POST /v1/responses": [
    [
      ["input"],
      "A text, or items: messages with `input_text`, `input_image`, `input_file`, `output_text` and `refusal`; calls (`function_call`, `custom_tool_call`) and their outputs. `reasoning` and `compaction` items are ignored. An `item_reference` continues the response that had the item, as `previous_response_id` does, and the items before it are ignored; a reference to an unknown item is refused (400), as is any other item.",
    ],
    [
      ["instructions"],
      "Become the system prompt, together with `system` and `developer` messages. They hold for their own request only: with `previous_response_id` they must be sent again.",
    ],
    [
      ["conversation"],
      'Names the conversation, by any id or by `{"id": …}`. There is no `/v1/conversations`: the first request begins it.',
    ],
    [
      ["previous_response_id"],
      "Continues the conversation of a response, also after a restart of the server: see [below](#conversations-of-responses).",
    ],
    [
      ["store"],
      "With `false`, a request without a name is answered as in chat completions and cannot be continued by the id of its response.",
    ],
    [
      ["tools", "tool_choice"],
      "`function` and `custom` tools, also those of a `namespace`, become tools of Claude, as in chat completions. `web_search`, `image_generation` and `tool_search` are left out, because clients send them with every request. All other tools of OpenAI's servers are refused (400).",
    ],
    [["reasoning.effort"], "As `reasoning_effort`."],
    [["text.format"], "As `response_format`: see [JSON answers](#json-answers)."],
    [["model", "stream", "parallel_tool_calls", "user", "prompt_cache_key"], "As in chat completions."],
    [["background"], "`true` is refused (400): an answer in the background would have to be stored."],
    [["prompt"], "Refused (400): there are no stored prompts."],
    [
      ["metadata", "safety_identifier", "truncation", "max_output_tokens", "temperature", "top_p"],
      "Shown in the response again, and otherwise ignored.",
    ],
    [
      ["include", "stream_options", "service_tier", "max_tool_calls", "top_logprobs", "text.verbosity", "others"],
      "Ignored.",
    ],
  ],
  "POST /v1/messages": [
    [
      ["messages"],
      "Texts, images (base64), documents (PDF and text, as base64 or as text), `tool_use` and `tool_result`. `thinking` and the results of Anthropic's server tools are ignored. Images and documents with a URL or a file id are refused (400): nothing is fetched.",
    ],
    [["system"], "Becomes the system prompt, together with messages of the role `system`."],
    [
      ["metadata.user_id"],
      "Names the conversation, as `user` does in chat completions. The headers that name one work, too.",
    ],
    [
      ["tools", "tool_choice"],
      "Tools with an `input_schema` become tools of Claude. `web_search`, `web_fetch`, `code_execution` and `tool_search` are left out: Claude Code has its own. Anthropic's other tools (`bash`, `text_editor`, `computer`, `memory`) are refused (400).",
    ],
    [["output_config.effort"], "As `reasoning_effort`."],
    [["output_config.format"], "As `response_format`: see [JSON answers](#json-answers)."],
    [
      ["thinking"],
      "Unless it is `disabled`, the answer may begin with a `thinking` block, which has what Claude is doing (`SYNTHESIS_PROGRESS`), and no signature.",
    ],
    [["model", "stream"], "As in chat completions."],
    [
      [
        "max_tokens",
        "stop_sequences",
        "temperature",
        "top_p",
        "top_k",
        "cache_control",
        "service_tier",
        "container",
        "mcp_servers",
        "others",
      ],
      "Ignored.",
    ],
  ],
};
