/** What the service of a user runs, and with what. The forms of systemd and launchd are made from it. */
import { join } from "node:path";
import { version } from "../../package.json";
import { OF_A_PARENT_CLAUDE } from "../claude/environment.ts";
import { findExecutable } from "../claude/executable.ts";
import type { Paths } from "../config/paths.ts";
import type { Config } from "../config/schema.ts";
import { environmentName, settingNames } from "../config/setting-names.ts";
import { absoluteEntries } from "../core/search-path.ts";
import { stablePath } from "./stable-path.ts";

type Env = Record<string, string | undefined>;

/** What stays the same when the service is installed again; `synthesis doctor` compares it with the machine. */
export interface ServiceRecord {
  readonly version: string;
  readonly program: readonly string[];
  readonly claude: string | null;
  readonly home: string;
}

export interface ServiceDefinition extends ServiceRecord {
  /** In the definition itself, which other users can read. */
  readonly environment: Readonly<Record<string, string>>;
  /** In a file that only its owner can read, because many of these may hold a secret. */
  readonly privateEnvironment: Readonly<Record<string, string>>;
  readonly environmentFile: string;
  readonly logFile: string;
  readonly stopTimeoutS: number;
  readonly memoryHighMb: number;
  /** What a person must know about the paths, in whole sentences. */
  readonly warnings: readonly string[];
}

/** The server itself takes far less. Above its budget it ends agent processes, so that this is a second line. */
const SERVER_MB = 1_024;
/** How long the server takes after the drain, to end all processes. */
const AFTER_DRAIN_S = 30;

/** Variables of Claude Code, its providers, proxies, certificates and the language. */
const TAKEN_OVER =
  /^(?:ANTHROPIC_|CLAUDE_|AWS_|GOOGLE_|GCLOUD_|CLOUD_ML_|VERTEX_|AZURE_|OTEL_|DISABLE_|MCP_|BASH_(?:DEFAULT|MAX)_|LC_|XDG_(?:CONFIG|DATA|STATE|CACHE)_HOME$|DO_NOT_TRACK$|LANG$|TZ$|NODE_EXTRA_CA_CERTS$|SSL_CERT_|(?:HTTPS?|ALL|NO)_PROXY$)/i;

/**
 * @param program the command of this program, as it was started
 * @param env the environment of the person who installs the service
 */
export function defineService({
  paths,
  config,
  program,
  env,
}: {
  paths: Paths;
  config: Config;
  program: readonly string[];
  env: Env;
}): ServiceDefinition {
  const [executable = "", ...rest] = program;
  const own = stablePath(executable, env);
  const found = findExecutable(config.claudeBin, env);
  const claude = found ? stablePath(found, env) : null;
  // A path in config.json is read at each start, and a variable would win over it.
  const isInFile = config.claudeBin.includes("/") && !env.SYNTHESIS_CLAUDE_BIN;
  const isSetting = new Set(settingNames.map(environmentName));
  const isOfParent = (name: string) => OF_A_PARENT_CLAUDE.includes(name);
  const taken = Object.entries(env).filter(
    (entry): entry is [string, string] =>
      entry[1] !== undefined &&
      entry[1] !== "" &&
      (isSetting.has(entry[0]) || entry[0] === "SYNTHESIS_ALLOW_FOREIGN_HOME" || TAKEN_OVER.test(entry[0])) &&
      !isOfParent(entry[0]) &&
      entry[0] !== "SYNTHESIS_CLAUDE_BIN",
  );
  return {
    version,
    program: [own.path, ...rest],
    claude: claude?.path ?? null,
    home: paths.home,
    environment: { PATH: capturedPath(env), ...(claude && !isInFile ? { SYNTHESIS_CLAUDE_BIN: claude.path } : {}) },
    privateEnvironment: Object.fromEntries(taken),
    environmentFile: paths.serviceEnvironment,
    logFile: join(paths.home, "service.log"),
    stopTimeoutS: Math.ceil(config.drainMs / 1_000) + AFTER_DRAIN_S,
    memoryHighMb: config.memoryMb + SERVER_MB,
    warnings: [own.warning, claude?.warning].filter((warning) => warning !== undefined),
  };
}

/** PATH without entries that a package runner or a shell made for itself, which no longer exist when the service starts. */
function capturedPath(env: Env): string {
  const kept = absoluteEntries(env.PATH)
    .split(":")
    .filter(
      (entry) => !/\/node_modules\/\.bin$|\/node-gyp-bin$|\/_npx\/|\/fnm_multishells\/|^\/tmp\//.test(`${entry}`),
    );
  return [...new Set([...kept, "/usr/local/bin", "/usr/bin", "/bin"])].join(":");
}

/** The content of the environment file, which systemd and a shell read alike. */
export const environmentFileContent = (values: Readonly<Record<string, string>>): string =>
  Object.entries(values)
    .map(([name, value]) => `${name}="${value.replace(/["\\$`]/g, "\\$&")}"\n`)
    .join("");

export const recordOf = ({ version, program, claude, home }: ServiceDefinition): ServiceRecord => ({
  version,
  program,
  claude,
  home,
});
