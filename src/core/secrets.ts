/** Hides secrets of the environment in what people see, such as commands and their output. */

const SECRET_NAME = /KEY|TOKEN|SECRET|PASS|CREDENTIAL|AUTH|COOKIE|PRIVATE/i;
/** A shorter value is unlikely to be a secret, and would match in too many texts. */
const MIN_LENGTH = 6;

/** Returns a function that replaces each secret of `env` in a text with the name of its variable. */
export function hideSecrets(env: Record<string, string | undefined>): (text: string) => string {
  const secrets = Object.entries(env)
    .flatMap(([name, value = ""]) => (SECRET_NAME.test(name) && value.length >= MIN_LENGTH ? [{ name, value }] : []))
    // The text may also hold the value as JSON escapes it.
    .flatMap(({ name, value }) => [value, JSON.stringify(value).slice(1, -1)].map((form) => ({ name, value: form })))
    // Longest first, because one value may contain another.
    .sort((one, other) => other.value.length - one.value.length);
  return (text) => secrets.reduce((shown, { name, value }) => shown.replaceAll(value, `[${name}]`), text);
}
