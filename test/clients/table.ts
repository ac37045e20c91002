/** Which client does what. Where a client has no such case, the table says why. */
import { type Row, without } from "./client.ts";
import { agentsSdk, agentsSdkChat } from "./libraries/agents-sdk.ts";
import { aiSdkCompatible, aiSdkOpenAI, aiSdkResponses } from "./libraries/ai-sdk.ts";
import { instructor } from "./libraries/instructor.ts";
import { langchainByTool, langgraph } from "./libraries/langgraph.ts";
import { llamaindex } from "./libraries/llamaindex.ts";
import { mastra } from "./libraries/mastra.ts";
import { openai, openaiResponses } from "./libraries/openai.ts";
import { codex } from "./programs/codex.ts";
import { continueCli } from "./programs/continue.ts";
import { opencode } from "./programs/opencode.ts";

/** The row of a client that has only its way to a structured answer for itself. */
const onlyStructured = ({ structured }: Pick<Row, "structured">, because: string): Row => {
  const none = without(because);
  return { text: none, stream: none, turns: none, tools: none, structured, abort: none, error: none };
};
const wrapsOpenAI = "its other requests are those of `openai`, which it wraps, and so are its exceptions";
const sameModel = "the row above has it";

export const libraries: Readonly<Record<string, Row>> = {
  "openai over chat completions": openai,
  "openai over responses": openaiResponses,
  "ai with @ai-sdk/openai over responses": aiSdkResponses,
  "ai with @ai-sdk/openai over chat completions": aiSdkOpenAI,
  "ai with @ai-sdk/openai-compatible": aiSdkCompatible,
  "@langchain/openai with LangGraph": langgraph,
  "@langchain/openai by a tool": onlyStructured(langchainByTool, sameModel),
  "@openai/agents over responses": agentsSdk,
  "@openai/agents over chat completions": agentsSdkChat,
  llamaindex: { ...llamaindex, abort: without("it takes no signal"), error: without(wrapsOpenAI) },
  "@instructor-ai/instructor with TOOLS": onlyStructured(instructor("TOOLS"), wrapsOpenAI),
  "@instructor-ai/instructor with JSON": onlyStructured(instructor("JSON"), wrapsOpenAI),
  "@instructor-ai/instructor with JSON_SCHEMA": onlyStructured(instructor("JSON_SCHEMA"), wrapsOpenAI),
  "@mastra/core": { ...mastra, error: without("it has no exception of its own for it") },
};

const programShows = without("a program shows an error as a text");

export const programs: Readonly<Record<string, Row>> = {
  "@openai/codex": {
    ...codex,
    stream: without("`codex exec` shows an answer when it is complete"),
    error: programShows,
  },
  "opencode-ai": { ...opencode, error: programShows },
  "@continuedev/cli": {
    ...continueCli,
    stream: without("`cn -p` shows an answer when it is complete"),
    structured: without("it has no structured answers"),
    error: programShows,
  },
};
