/** The configuration, or something that it names, does not let the program run. The message says what to change. */
export class ConfigError extends Error {
  override name = "ConfigError";
}
