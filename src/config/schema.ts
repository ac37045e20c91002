/**
 * Every setting once: its name, type, meaning and default. The file uses these names, the
 * environment `SYNTHESIS_` and the name in capitals, the command line `--` and the name with dashes.
 */
import { delimiter } from "node:path";
import { z } from "zod";
import { REPLY_MODES } from "../wire/frames.ts";
import { MEGABYTE, machineMemory } from "./machine.ts";
import type { Paths } from "./paths.ts";

/** Something that may come as JSON, as it does from the environment and the command line. */
const json = <S extends z.ZodType>(schema: S) =>
  z.preprocess((value, context) => {
    if (typeof value !== "string") return value;
    try {
      return JSON.parse(value);
    } catch {
      // Its own message would quote the value.
      context.issues.push({ code: "custom", message: "not valid JSON", input: value });
      return z.NEVER;
    }
  }, schema);

/** Claude Code's `--effort`. */
export const EFFORTS = ["low", "medium", "high", "xhigh", "max"] as const;
export type Effort = (typeof EFFORTS)[number];

const PERMISSION_MODES = ["chat", "ask", "refuse"] as const;

const SYSTEM_PROMPT_MODES = ["append", "replace", "ignore"] as const;

/** A number that may come as text, as it does from the environment and the command line. */
const number = (schema: z.ZodNumber) =>
  z.preprocess((value) => (typeof value === "string" && value.trim() !== "" ? Number(value) : value), schema);
/** A timer of more than this many ms fires at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;
const milliseconds = number(z.number().int().min(1).max(LONGEST_TIMER_MS));
const list = (separator: string | RegExp) =>
  z.preprocess(
    (value) => (typeof value === "string" ? value.split(separator).filter((part) => part !== "") : value),
    z.array(z.string().min(1)),
  );

/** What may stand for a list of the client's tools. */
const WHICH_TOOLS = ["auto", "all", "none"];

export const settings = {
  bridgePort: number(z.number().int().min(0).max(65535)).describe(
    "Port on 127.0.0.1 for everything: clients, hooks and plugins (0: any free one)",
  ),
  apiKey: z.string().min(16).describe("The key clients must bring (default: the one in `chat.key`)"),
  claudeBin: z.string().min(1).describe("The Claude Code program, a name on PATH or a path"),
  workspace: z.string().min(1).describe("Folder in which conversations work"),
  allowedRoots: list(delimiter).describe(
    "Folders below which a client may choose its workspace (in the environment parted as in PATH)",
  ),
  permissionMode: z
    .enum(["manual", "acceptEdits", "dontAsk", "plan", "auto", "bypassPermissions"])
    .describe("Claude Code's permission mode"),
  allowedTools: list(/[\s,]+(?![^(]*\))/).describe(
    "Tools claude may use without asking, in Claude Code's own rule syntax",
  ),
  clientTools: list(/[\s,]+/)
    .refine(
      (names) => names.length === 1 || !names.some((name) => WHICH_TOOLS.includes(name)),
      "auto, all, none, or names",
    )
    .describe(
      "Which of a request's tools claude is offered: `auto`, all but those of OpenClaw's that claude has itself; " +
        "`all`; `none`; or their names, with `*` for any characters",
    ),
  reply: z
    .enum(REPLY_MODES)
    .describe("Which text is the answer: `live`, what claude writes; `tool`, what it sends with the reply tool"),
  agents: json(z.record(z.string().min(1), z.strictObject({ workspace: z.string().min(1) }))).describe(
    'A workspace for each of OpenClaw\'s agents: `{"ops": {"workspace": "/srv/ops"}}`',
  ),
  identityHeader: z
    .string()
    .regex(/^[\w-]+$/, "the name of a header")
    .describe("A header that names the conversation, for chat programs that send one"),
  effort: z.enum(EFFORTS).describe("How hard claude thinks, unless a request says it"),
  systemPrompt: z
    .enum(SYSTEM_PROMPT_MODES)
    .describe("The client's system prompt: `append` it to claude's own, `replace` claude's own by it, or `ignore` it"),
  identityFallback: z
    .enum(["one-shot", "default"])
    .describe("What a request is that names no conversation: `one-shot`, answered by itself; `default`, part of one"),
  progress: z
    .enum(["off", "brief", "full"])
    .describe("What claude is doing, as `reasoning_content`: `brief`, each tool; `full`, its outcome, too"),
  permissions: z
    .enum(PERMISSION_MODES)
    .describe(
      "What claude asks beyond its allowed tools: `chat` asks the sender, where one is known, and refuses elsewhere; " +
        "`ask` waits for the control key in any case; `refuse` refuses at once",
    ),
  permissionTimeoutMs: milliseconds.describe(
    "How long a question of claude's waits for an answer, in ms; then it is a no",
  ),
  useApiKey: z
    .union([z.boolean(), z.stringbool()])
    .describe("Let claude use an ANTHROPIC_API_KEY from the environment instead of its login"),
  maxProcesses: number(z.number().int().min(1).max(256)).describe("How many claude processes may run at once"),
  spares: number(z.number().int().min(0).max(16)).describe(
    "How many claudes are booted ahead, for conversations to come",
  ),
  memoryMb: number(z.number().int().min(1)).describe(
    "What all claudes may take together, in MB, with all that they start; idle ones make room",
  ),
  processMemoryMb: number(z.number().int().min(1)).describe(
    "What one claude may take, in MB; one that has grown larger is restarted when it is idle",
  ),
  oneShots: z
    .enum(["print", "interactive"])
    .describe(
      "How a request without a conversation is answered: `print`, by `claude -p`; `interactive`, by a claude in a " +
        "terminal that ends after its one turn",
    ),
  maxOneShots: number(z.number().int().min(1).max(256)).describe(
    "How many requests without a conversation may be answered at once",
  ),
  maxQueue: number(z.number().int().min(0).max(10_000)).describe("How many messages may wait, over all conversations"),
  idleKillMs: milliseconds.describe("After which an idle claude is ended, in ms; its conversation resumes"),
  keepDays: number(z.number().int().min(1).max(36_500)).describe(
    "After how many days without a message a conversation is forgotten, and what is noted of turns and permissions",
  ),
  drainMs: number(z.number().int().min(0).max(LONGEST_TIMER_MS)).describe(
    "How long running turns may go on when the server is stopped, in ms",
  ),
  readyTimeoutMs: milliseconds.describe("How long a claude may take to start, in ms"),
  receiptTimeoutMs: milliseconds.describe("How long claude may take to take up a message, in ms; it is sent twice"),
  turnTimeoutMs: milliseconds.describe("How long one turn may take, in ms"),
  progressTimeoutMs: milliseconds.describe("How long claude may show no sign of life in a turn, in ms"),
  parkedToolTimeoutMs: milliseconds.describe("How long a client may take to bring the results of its tools, in ms"),
  sseHeartbeatMs: milliseconds.describe("Pause between heartbeat chunks on a quiet stream, in ms"),
  bridgePingMs: milliseconds.describe("Pause between pings on a plugin's WebSocket, in ms; silent for two means gone"),
  logLevel: z.enum(["debug", "info", "warning", "error"]).describe("Least level that is logged to stderr"),
} as const;

const complete = z.strictObject(settings);
/** One layer (file, environment, command line): any of the settings, and nothing else. */
export const layer = complete.partial();

export type Layer = z.infer<typeof layer>;
/** These need not be there. */
type Optional = "apiKey" | "identityHeader";
export type Config = Omit<z.infer<typeof complete>, Optional> & Partial<Pick<z.infer<typeof complete>, Optional>>;
export type Setting = keyof typeof settings;

/** What holds when nothing is said; `workspace` and `allowedRoots` depend on the state folder. */
export function defaults(paths: Paths): Config {
  return {
    bridgePort: 18990,
    claudeBin: "claude",
    workspace: paths.workspace,
    allowedRoots: [],
    agents: {},
    permissionMode: "manual",
    allowedTools: ["Read", "Edit", "Bash"],
    clientTools: ["auto"],
    reply: "live",
    effort: "medium",
    systemPrompt: "append",
    progress: "brief",
    permissions: "chat",
    permissionTimeoutMs: 600_000,
    identityFallback: "one-shot",
    useApiKey: false,
    maxProcesses: 8,
    spares: 0,
    memoryMb: Math.round(machineMemory() / MEGABYTE / 2),
    processMemoryMb: 2_048,
    oneShots: "print",
    maxOneShots: 4,
    maxQueue: 64,
    idleKillMs: 1_800_000,
    keepDays: 90,
    drainMs: 30_000,
    readyTimeoutMs: 15_000,
    receiptTimeoutMs: 10_000,
    turnTimeoutMs: 3_600_000,
    progressTimeoutMs: 600_000,
    parkedToolTimeoutMs: 600_000,
    sseHeartbeatMs: 15_000,
    bridgePingMs: 30_000,
    logLevel: "info",
  };
}
