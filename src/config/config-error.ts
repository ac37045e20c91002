/** The program cannot run with this configuration, or with a path that it names. The message says what to change. */
export class ConfigError extends Error {
  override name = "ConfigError";
}
