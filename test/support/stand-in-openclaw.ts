/**
 * A stand-in for the `openclaw` commands that `synthesis setup` and the doctor use. OPENCLAW_CONFIG_PATH is its
 * configuration file. The command in STAND_IN_FAILS fails. With STAND_IN_GATEWAY it refuses `agent --local`, as
 * OpenClaw does while its gateway runs.
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

interface Config {
  models?: { providers?: Record<string, { baseUrl: string; apiKey: string; models: unknown[] }> };
  agents?: { entries?: Record<string, { workspace?: string }> };
  plugins?: { entries?: Record<string, unknown>; load?: { paths?: string[] } };
}

const file = process.env.OPENCLAW_CONFIG_PATH ?? "openclaw.json";
const read = () => (existsSync(file) ? (Bun.JSON5.parse(readFileSync(file, "utf8")) as Config) : {});
const write = (config: unknown, forced = false) => {
  const content = JSON.stringify(config, null, 2);
  const before = existsSync(file) ? readFileSync(file).length : 0;
  // The real one refuses this, too, except in its plugin commands.
  if (!forced && before >= 512 && content.length < Math.floor(before / 2)) {
    console.error(`Config write rejected: ${file} (size-drop:${before}->${content.length})`);
    process.exit(1);
  }
  writeFileSync(file, content, { mode: 0o600 });
};

type Json = Record<string, unknown>;
const isObject = (value: unknown): value is Json =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** Applies a JSON merge patch: objects merge, null deletes, other values replace. */
function patched(target: unknown, patch: Json): Json {
  const result: Json = isObject(target) ? { ...target } : {};
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) delete result[name];
    else result[name] = isObject(value) ? patched(result[name], value) : value;
  }
  return result;
}

const args = process.argv.slice(2);
const command = args.slice(0, 2).join(" ");
if (command === process.env.STAND_IN_FAILS) {
  console.error("the command fails");
  process.exit(1);
}
if (args[0] === "--version") console.log("OpenClaw 2026.9.6 (stand-in)");
else if (command === "config file") console.log(JSON.stringify({ path: file }));
else if (command === "config patch") {
  const config = patched(read(), (await Bun.stdin.json()) as Json);
  const models = (from: unknown) => (from as Config).models?.providers?.synthesis?.models;
  if (models(config)?.length === 0 && models(read())?.length !== 0 && !args.includes("--replace-path")) {
    console.error("Refusing to replace models.providers.synthesis.models; it would remove existing entries");
    process.exit(1);
  }
  write(config);
} else if (command === "agents list") {
  const entries = Object.entries(read().agents?.entries ?? { main: {} });
  const agents = entries.map(([id, { workspace }], index) => ({
    id,
    workspace: workspace ?? join(dirname(file), "workspace"),
    isDefault: index === 0,
  }));
  console.log(JSON.stringify(agents));
} else if (command === "plugins install") {
  const folder = args[args.indexOf("--link") + 1] ?? "";
  const paths = (read().plugins?.load?.paths ?? []).filter((path) => path !== folder);
  write(
    patched(read(), { plugins: { entries: { synthesis: { enabled: true } }, load: { paths: [...paths, folder] } } }),
  );
} else if (command === "plugins uninstall") {
  const paths = (read().plugins?.load?.paths ?? []).filter((path) => !path.endsWith("/openclaw-plugin"));
  write(
    patched(read(), {
      plugins: { entries: { synthesis: { enabled: false } }, load: paths.length > 0 ? { paths } : null },
    }),
    true,
  );
} else if (args[0] === "agent") {
  const gateway = process.env.STAND_IN_GATEWAY !== undefined;
  if (gateway && args.includes("--local")) {
    console.error("A Gateway is running for this state directory. Run without --local to use it.");
    process.exit(1);
  }
  const { baseUrl, apiKey } = read().models?.providers?.synthesis ?? { baseUrl: "", apiKey: "" };
  const response = await fetch(`${baseUrl}/chat/completions`, {
    method: "POST",
    headers: { authorization: `Bearer ${apiKey}`, "content-type": "application/json" },
    body: JSON.stringify({ messages: [{ role: "user", content: args[args.indexOf("-m") + 1] }] }),
  });
  const { choices } = (await response.json()) as { choices?: { message: { content: string } }[] };
  const payloads = (choices ?? []).map(({ message }) => ({ text: message.content }));
  console.log(JSON.stringify(gateway ? { result: { payloads } } : { payloads }));
} else {
  console.error(`unknown command ${command}`);
  process.exit(1);
}
