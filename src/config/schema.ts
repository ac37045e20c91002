/**
 * Every setting once: its name, type, meaning and default. The file uses these names, the
 * environment `SYNTHESIS_` and the name in capitals, the command line `--` and the name with dashes.
 */
import { delimiter } from "node:path";
import { z } from "zod";
import { MEGABYTE, machineMemory } from "../core/machine.ts";
import { REPLY_MODES } from "../wire/frames.ts";
import { expandHome, type Paths } from "./paths.ts";

/** Something that may come as JSON, as it does from the environment and the command line. */
const json = <S extends z.ZodType>(schema: S) =>
  z.preprocess((value, context) => {
    if (typeof value !== "string") return value;
    try {
      return JSON.parse(value);
    } catch {
      // Its own message would quote the value.
      context.issues.push({ code: "custom", message: "expected JSON", input: value });
      return z.NEVER;
    }
  }, schema);

/** Claude Code's `--effort`. */
export const EFFORTS = ["low", "medium", "high", "xhigh", "max"] as const;
export type Effort = (typeof EFFORTS)[number];

const PERMISSION_MODES = ["chat", "ask", "refuse"] as const;

const SYSTEM_PROMPT_MODES = ["append", "replace", "ignore"] as const;

/** What zod says of a value that does not fit: what is expected, in words, and what is there instead. */
const expected =
  (what: string) =>
  ({ input }: { input?: unknown }) =>
    `expected ${what}, not ${JSON.stringify(input) ?? "nothing"}`;

/** A whole number that may come as text, as it does from the environment and the command line. */
const number = (min: number, max: number, unit = "") => {
  const error = expected(`a whole number${unit} from ${min} to ${max}`);
  return z.preprocess(
    (value) => {
      const read = typeof value === "string" && value.trim() !== "" ? Number(value) : value;
      // As it was written, for the one who is told.
      return Number.isNaN(read) ? value : read;
    },
    z.int({ error }).min(min, { error }).max(max, { error }),
  );
};
/** A timer of more than this many ms fires at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;
const milliseconds = number(1, LONGEST_TIMER_MS, " of milliseconds");
const MOST_MEGABYTES = 2 ** 31 - 1;
const megabytes = number(1, MOST_MEGABYTES, " of megabytes");
const oneOf = <const T extends readonly string[]>(values: T) =>
  z.enum(values, { error: expected(`one of ${values.join(", ")}`) });

/** A file or folder. No shell expands a `~` within quotes, in JSON or behind a `:`. */
const path = z
  .string({ error: expected("a path") })
  .min(1, { error: expected("a path") })
  .transform(expandHome);
const list = <T extends z.ZodType>(separator: string | RegExp, item: T) =>
  z.preprocess(
    (value) => (typeof value === "string" ? value.split(separator).filter((part) => part !== "") : value),
    z.array(item, { error: expected("a list of texts") }),
  );
const word = z.string({ error: expected("a text") }).min(1, { error: expected("a text") });

declare module "zod" {
  interface GlobalMeta {
    /** Only tests have a reason to change this setting. It works like any other, but no help or document lists it. */
    readonly isInternal?: boolean;
  }
}
const internal = <S extends z.ZodType>(schema: S): S => schema.meta({ isInternal: true });

/** What may stand for a list of the client's tools. */
const WHICH_TOOLS = ["auto", "all", "none"];

export const settings = {
  bridgePort: number(0, 65535).describe(
    "Port for clients, hooks and plugins, on 127.0.0.1 and, where it exists, on [::1] (0 takes any free port)",
  ),
  apiKey: z
    // The key itself is not for a screen.
    .string({ error: "expected a text of at least 16 characters" })
    .min(16, { error: "expected a text of at least 16 characters" })
    .describe("The key that clients must send"),
  claudeBin: path.describe("The Claude Code program: a name on PATH or a path"),
  workspace: path.describe("The folder in which conversations work"),
  allowedRoots: list(delimiter, path).describe(
    "Folders below which a client may choose its workspace with `x-openclaw-workspace`, separated as in PATH",
  ),
  permissionMode: oneOf(["manual", "acceptEdits", "dontAsk", "plan", "auto", "bypassPermissions"]).describe(
    "Claude Code's permission mode",
  ),
  allowedTools: list(/[\s,]+(?![^(]*\))/, word).describe(
    "The tools that Claude may use without asking, in Claude Code's rule syntax; for others it asks (see `permissions`)",
  ),
  clientTools: list(/[\s,]+/, word)
    .refine(
      (names) => names.length === 1 || !names.some((name) => WHICH_TOOLS.includes(name)),
      "expected auto, all, none, or names",
    )
    .describe(
      "Which of a request's `tools` Claude is offered: `auto`, all except OpenClaw's file and shell tools, which Claude " +
        "has itself; `all`; `none`; or a list of names, in which `*` stands for any characters",
    ),
  reply: oneOf(REPLY_MODES).describe(
    "Which text is the answer: `live`, what Claude writes, as it writes it; `tool`, what Claude sends with the reply " +
      "tool, which also works where an administrator forbids hooks",
  ),
  agents: json(
    z.record(z.string().min(1), z.strictObject({ workspace: path }), {
      error: expected('an object such as {"ops": {"workspace": "/srv/ops"}}'),
    }),
  ).describe('A workspace for each OpenClaw agent, as JSON: `{"ops": {"workspace": "/srv/ops"}}`'),
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
    "How a request that names no conversation is answered: `one-shot`, from the messages it sends, and nothing is " +
      "kept; `default`, in one conversation that all such requests share",
  ),
  progress: oneOf(["off", "brief", "full"]).describe(
    "What Claude is doing, sent as `reasoning_content`: `brief`, each tool use; `full`, its result too; `off`, nothing",
  ),
  permissions: oneOf(PERMISSION_MODES).describe(
    "Who decides what Claude may do beyond its allowed tools: `chat` asks the sender in the chat, and refuses where the " +
      "sender is unknown; `ask` waits for `synthesis permissions`; `refuse` always refuses",
  ),
  permissionTimeoutMs: milliseconds.describe(
    "How long a permission prompt waits for a verdict, in ms; then it is denied",
  ),
  useApiKey: z
    .union([z.boolean(), z.stringbool()], { error: expected("true or false") })
    .describe("Let Claude Code use ANTHROPIC_API_KEY from the environment instead of its login"),
  maxProcesses: number(1, 256).describe(
    "How many agent processes may run at the same time; the one idle longest exits to make room",
  ),
  spares: number(0, 16).describe("How many agent processes are started before a conversation needs them"),
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
  maxOneShots: number(1, 256).describe(
    "How many requests without a conversation are answered at the same time; each is one more process",
  ),
  maxQueue: number(0, 10_000).describe(
    "How many messages may wait, over all conversations; in one conversation at most 16",
  ),
  idleKillMs: milliseconds.describe(
    "How long an agent process may be idle before it exits, in ms; the next message resumes its conversation",
  ),
  keepDays: number(1, 36_500, " of days").describe(
    "After how many days a conversation without a message, and every record of a turn or a permission, is deleted",
  ),
  drainMs: number(0, LONGEST_TIMER_MS, " of milliseconds").describe(
    "How long running turns may take to finish when the server is stopped, in ms",
  ),
  readyTimeoutMs: milliseconds.describe("How long an agent process may take to start, in ms"),
  receiptTimeoutMs: internal(
    milliseconds.describe(
      "How long Claude may take to accept a message, in ms; the message is sent twice before the process is restarted",
    ),
  ),
  turnTimeoutMs: milliseconds.describe("How long one turn may take, in ms"),
  progressTimeoutMs: milliseconds.describe("How long Claude may show no activity in a turn, in ms"),
  parkedToolTimeoutMs: milliseconds.describe("How long a client may take to send the results of its tools, in ms"),
  sseHeartbeatMs: milliseconds.describe(
    "Time between heartbeat chunks on a quiet stream, in ms; the first one starts the response at the latest",
  ),
  bridgePingMs: internal(
    milliseconds.describe(
      "Time between pings on a plugin's WebSocket, in ms; a plugin that misses two is disconnected",
    ),
  ),
  logLevel: oneOf(["debug", "info", "warning", "error"]).describe("The lowest level that is logged to stderr"),
} as const;

const complete = z.strictObject(settings);
/** One layer (file, environment, command line): any of the settings, and nothing else. */
export const layer = complete.partial();

export type Layer = z.infer<typeof layer>;
/** These need not be there. */
type Optional = "apiKey" | "identityHeader";
export type Config = Omit<z.infer<typeof complete>, Optional> & Partial<Pick<z.infer<typeof complete>, Optional>>;
export type Setting = keyof typeof settings;

/** Whether only tests have a reason to change this setting. Help texts and documents leave such a setting out. */
export const isInternal = (name: Setting): boolean => settings[name].meta()?.isInternal === true;

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
