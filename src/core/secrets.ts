/** Keeps the environment's secrets out of what is shown: a command may hold one, and so may what it prints. */

const SECRET_NAME = /KEY|TOKEN|SECRET|PASS|CREDENTIAL|AUTH|COOKIE|PRIVATE/i;
/** A shorter value is no secret, and would be found everywhere. */
const SHORTEST = 6;

/** @returns what replaces each secret of `env` in a text by its variable's name */
export function hideSecrets(env: Record<string, string | undefined>): (text: string) => string {
  const secrets = Object.entries(env)
    .flatMap(([name, value = ""]) => (SECRET_NAME.test(name) && value.length >= SHORTEST ? [{ name, value }] : []))
    // Also as it stands in JSON.
    .flatMap(({ name, value }) => [value, JSON.stringify(value).slice(1, -1)].map((form) => ({ name, value: form })))
    // One may be a part of another.
    .sort((one, other) => other.value.length - one.value.length);
  return (text) => secrets.reduce((shown, { name, value }) => shown.replaceAll(value, `[${name}]`), text);
}
