/**
 * All settings, with their types, descriptions and defaults. The configuration file uses these names. The environment
 * variable of `idleKillMs` is `SYNTHESIS_IDLE_KILL_MS`, and its command line option is `--idle-kill-ms`.
 */
import { delimiter } from "node:path";
import { z } from "zod";
import { MEGABYTE, machineMemory } from "../core/machine.ts";
import { REPLY_MODES } from "../wire/frames.ts";
import type { Paths } from "./paths.ts";
import {
  boolean,
  host,
  httpsOrigin,
  list,
  listenAddress,
  megabytes,
  milliseconds,
  oneOf,
  origin,
  path,
  postgresAddress,
  record,
  secret,
  secretAddress,
  text,
  wholeNumber,
} from "./setting-types.ts";

/** Claude Code's `--effort`. */
export const EFFORTS = ["low", "medium", "high", "xhigh", "max"] as const;
export type Effort = (typeof EFFORTS)[number];

const PERMISSION_MODES = ["chat", "ask", "refuse"] as const;

const ENGINE_SETTINGS = ["auto", "interactive", "stream"] as const;
export type EngineSetting = (typeof ENGINE_SETTINGS)[number];

const NOTIFY_FORMATS = ["json", "ntfy", "slack"] as const;
export type NotifyFormat = (typeof NOTIFY_FORMATS)[number];

const SYSTEM_PROMPT_MODES = ["append", "replace", "ignore"] as const;

declare module "zod" {
  interface GlobalMeta {
    /** Only tests have a reason to change this setting. It works like any other, but no help or document lists it. */
    readonly isInternal?: boolean;
  }
}
const internal = <S extends z.ZodType>(schema: S): S => schema.meta({ isInternal: true });

/** Values of `clientTools` and `claudeTools` that stand for a list of names. */
const TOOL_GROUPS = ["auto", "all", "none"];

const toolNames = list(/[\s,]+/, text).refine(
  (names) => names.length === 1 || !names.some((name) => TOOL_GROUPS.includes(name)),
  "expected auto, all, none, or names",
);

export const settings = {
  bridgePort: wholeNumber(0, 65535).describe(
    "Port for clients, hooks and plugins, on 127.0.0.1 and, where it exists, on [::1] (0 takes any free port)",
  ),
  listen: list(/[\s,]+/, listenAddress).describe(
    "More addresses for clients, such as `0.0.0.0:8080`, `[::]:8080` or `/run/synthesis.sock`. Hooks and plugins stay on " +
      "the port above, and so does the control API",
  ),
  controlListen: list(/[\s,]+/, listenAddress).describe(
    "More addresses for the control API; one that other machines can reach needs a certificate",
  ),
  tlsCert: path.describe("The certificate for these addresses, a PEM file; the port above and Unix sockets do without"),
  tlsKey: path.describe("The key of the certificate, a PEM file"),
  allowedHosts: list(/[\s,]+/, host).describe(
    "Names by which clients reach the server, such as `chat.example.com`. Addresses in numbers, and `localhost`, need not " +
      "be listed",
  ),
  allowedOrigins: list(/[\s,]+/, origin).describe(
    "Origins of web pages that may send chats, such as `https://app.example.com`",
  ),
  database: postgresAddress.describe(
    "A Postgres database that several servers share, each of which then is a node of one fleet (see docs/fleet.md)",
  ),
  nodeName: z
    .string()
    .regex(/^[\w.-]{1,100}$/, "expected letters, digits, dots and dashes")
    .describe("The name of this node in its fleet; without it, that of the machine"),
  nodeListen: listenAddress.describe("Where the other nodes of the fleet reach this one, such as `10.0.0.5:18991`"),
  nodeUrl: httpsOrigin.describe("The same as they write it, if it differs, such as `https://node-a:18991`"),
  leaseMs: internal(
    milliseconds(1).describe("How long a node keeps its conversations when it no longer reaches the database, in ms"),
  ),
  apiKey: secret(16).describe("The key that clients must send"),
  metricsKey: secret(16).describe("The key with which Prometheus may read the metrics, and nothing else"),
  claudeBin: path.describe("The Claude Code program: a name on PATH or a path"),
  workspace: path.describe("The folder in which conversations work"),
  allowedRoots: list(delimiter, path).describe(
    "Folders below which a client may choose its workspace with `x-openclaw-workspace`, separated as in PATH",
  ),
  permissionMode: oneOf(["manual", "acceptEdits", "dontAsk", "plan", "auto", "bypassPermissions"]).describe(
    "Claude Code's permission mode",
  ),
  allowedTools: list(/[\s,]+(?![^(]*\))/, text).describe(
    "The tools that Claude may use without asking, in Claude Code's rule syntax; for others it asks (see `permissions`)",
  ),
  clientTools: toolNames.describe(
    "Which of a request's `tools` Claude is offered: `auto`, all except OpenClaw's file and shell tools, which Claude " +
      "has itself; `all`; `none`; or a list of names, in which `*` stands for any characters",
  ),
  claudeTools: toolNames.describe(
    "Which of Claude Code's own tools Claude has: `auto`, all, but not those for files and shells where a client other " +
      "than OpenClaw brings such tools; `all`; `none`; or a list of names",
  ),
  reply: oneOf(REPLY_MODES).describe(
    "Which text is the answer: `live`, what Claude writes, as it writes it; `tool`, what Claude sends with the reply " +
      "tool, which also works where an administrator forbids hooks",
  ),
  engine: oneOf(ENGINE_SETTINGS).describe(
    "How Claude Code is run: `interactive` in a terminal, `stream` over stream-json, which shows text token by token and " +
      "also works where Claude Code refuses channels. `auto` is `interactive`, and `stream` where channels are refused or " +
      "an API key is in use",
  ),
  agents: record(
    z.strictObject({
      workspace: path.optional(),
      engine: oneOf(ENGINE_SETTINGS).optional(),
      claudeTools: toolNames.optional(),
    }),
    '{"ops": {"workspace": "/srv/ops", "engine": "stream"}}',
  ).describe(
    "What differs for an OpenClaw agent: its workspace, and its own values of `engine` and `claudeTools`, as JSON: " +
      '`{"ops": {"workspace": "/srv/ops", "engine": "stream"}}`',
  ),
  identityHeader: z
    .string()
    .regex(/^[\w-]+$/, "expected the name of a header")
    .describe("A request header that names the conversation, for chat programs that send one"),
  effort: oneOf(EFFORTS).describe("How hard Claude thinks when the request does not say"),
  systemPrompt: oneOf(SYSTEM_PROMPT_MODES).describe(
    "What happens to the client's system prompt: `append` adds it to Claude's own, `replace` puts it in place of " +
      "Claude's own, `ignore` drops it",
  ),
  identityFallback: oneOf(["one-shot", "default"]).describe(
    "What a request that names no conversation belongs to: `one-shot`, to nothing but the messages that it sends; " +
      "`default`, to one conversation that all such requests share",
  ),
  progress: oneOf(["off", "brief", "full"]).describe(
    "What Claude is doing, sent as `reasoning_content`: `brief`, each tool use; `full`, its result too; `off`, nothing",
  ),
  permissions: oneOf(PERMISSION_MODES).describe(
    "Who decides what Claude may do beyond its allowed tools: `chat` asks the sender in the chat, and refuses where the " +
      "sender is unknown; `ask` waits for `synthesis permissions`; `refuse` always refuses",
  ),
  permissionTimeoutMs: milliseconds(1).describe(
    "How long a permission prompt waits for a verdict, in ms; then it is denied",
  ),
  useApiKey: boolean.describe("Let Claude Code use ANTHROPIC_API_KEY from the environment instead of its login"),
  maxProcesses: wholeNumber(1, 256).describe(
    "How many agent processes may run at the same time; the one idle longest exits to make room",
  ),
  spares: wholeNumber(0, 16).describe("How many agent processes are started before a conversation needs them"),
  memoryMb: megabytes.describe(
    "Memory in MB that all agent processes and their child processes may use together; above it the one idle longest exits",
  ),
  processMemoryMb: megabytes.describe(
    "Memory in MB that one agent process may use; above it the process is restarted when it is idle",
  ),
  oneShots: oneOf(["print", "interactive"]).describe(
    "How a request without a conversation is answered: `print`, with `claude -p`, which is faster; `interactive`, in a " +
      "terminal, for plans that bill `claude -p` separately",
  ),
  maxOneShots: wholeNumber(1, 256).describe(
    "How many one-shots are answered at the same time; each is one more process",
  ),
  maxLingering: wholeNumber(0, 64).describe(
    "How many processes of unnamed chats stay after an answer, for five minutes each, so that the next message finds " +
      "its process; with 0, each message starts one",
  ),
  maxQueue: wholeNumber(0, 10_000).describe(
    "How many messages may wait, over all conversations; in one conversation at most 16",
  ),
  idleKillMs: milliseconds(1).describe(
    "How long an agent process may be idle before it exits, in ms; the next message resumes its conversation",
  ),
  keepDays: wholeNumber(1, 36_500, " of days").describe(
    "After how many days a conversation without a message, and every record of a turn or a permission, is deleted",
  ),
  drainMs: milliseconds(0).describe("How long running turns may take to finish when the server is stopped, in ms"),
  readyTimeoutMs: milliseconds(1).describe("How long an agent process may take to start, in ms"),
  receiptTimeoutMs: internal(
    milliseconds(1).describe(
      "How long Claude may take to accept a message, in ms; the message is sent twice before the process is restarted",
    ),
  ),
  turnTimeoutMs: milliseconds(1).describe("How long one turn may take, in ms"),
  progressTimeoutMs: milliseconds(1).describe("How long Claude may show no activity in a turn, in ms"),
  parkedToolTimeoutMs: milliseconds(1).describe("How long a client may take to send the results of its tools, in ms"),
  sseHeartbeatMs: milliseconds(1).describe(
    "Time between heartbeat chunks on a quiet stream, in ms; the first one starts the response at the latest",
  ),
  bridgePingMs: internal(
    milliseconds(1).describe(
      "Time between pings on a plugin's WebSocket, in ms; a plugin that misses two is disconnected",
    ),
  ),
  notifyUrl: secretAddress("https://ntfy.sh/your-topic").describe(
    "Where notifications are posted: of permission prompts that wait, a lost login, the plan's limits, and other things " +
      "that need a person. It may hold a user and a password",
  ),
  notifyFormat: oneOf(NOTIFY_FORMATS).describe(
    "How a notification is written: `json`, for programs of your own; `ntfy`, for the address of a topic; `slack`, for an " +
      "incoming webhook of Slack, or of a service that takes the same",
  ),
  notifyContent: boolean.describe(
    "Let notifications say what is asked: the session's key and the use of the tool, such as a command",
  ),
  logLevel: oneOf(["debug", "info", "warning", "error"]).describe("The lowest level that is logged to stderr"),
} as const;

const complete = z.strictObject(settings);
/** The settings that one source (file, environment or command line) contains. */
export const partialConfig = complete.partial();

export type PartialConfig = z.infer<typeof partialConfig>;
/** The settings without a default. */
type Optional =
  | "apiKey"
  | "metricsKey"
  | "identityHeader"
  | "notifyUrl"
  | "tlsCert"
  | "tlsKey"
  | "database"
  | "nodeName"
  | "nodeListen"
  | "nodeUrl";
export type Config = Omit<z.infer<typeof complete>, Optional> & Partial<Pick<z.infer<typeof complete>, Optional>>;
export type Setting = keyof typeof settings;

/** Whether only tests have a reason to change this setting. Help texts and documents leave such a setting out. */
export const isInternal = (name: Setting): boolean => settings[name].meta()?.isInternal === true;

/** The values of settings that no source contains. An empty list of allowed roots stands for the workspace. */
export function defaults(paths: Paths): Config {
  return {
    bridgePort: 18990,
    listen: [],
    controlListen: [],
    allowedHosts: [],
    leaseMs: 60_000,
    allowedOrigins: [],
    claudeBin: "claude",
    workspace: paths.workspace,
    allowedRoots: [],
    agents: {},
    permissionMode: "manual",
    allowedTools: ["Read", "Edit", "Bash"],
    clientTools: ["auto"],
    claudeTools: ["auto"],
    reply: "live",
    engine: "auto",
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
    maxLingering: 2,
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
    notifyFormat: "json",
    notifyContent: false,
    logLevel: "info",
  };
}
