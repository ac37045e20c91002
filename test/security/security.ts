/** `bun run test:security` attacks a running server through every entry it has. `--help` lists the options. */
import { join } from "node:path";
import { parseArgs } from "node:util";
import { FORMS, runSuite } from "./suite.ts";

const { values } = parseArgs({
  options: {
    seed: { type: "string", default: "1" },
    only: { type: "string", default: "" },
    long: { type: "boolean", default: false },
    list: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});
if (values.help) {
  console.log(`Usage: bun run test:security [options]

  --seed N      determines the fuzzed inputs (default 1)
  --only REGEX  runs the checks and tests with a matching name
  --long        ten times as many inputs, and every check on the real claude
  --list        also prints the name of each check that passes`);
  process.exit(0);
}
if (!/^\d+$/.test(values.seed)) throw new Error("--seed takes a whole number.");

for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => process.exit(1));

const began = performance.now();
const form = values.long ? FORMS.long : FORMS.usual;
const results = await runSuite(form, Number(values.seed), new RegExp(values.only), ({ name, why, ms }) => {
  if (why !== null) {
    console.log(`✗ ${name} (${Math.round(ms)} ms)\n    ${why}`);
    console.log(
      `    repeat it: bun run test:security --seed ${values.seed} --only '${name.replace(/[^\w ,:]/g, ".")}'\n`,
    );
  } else if (values.list) console.log(`✓ ${name} (${Math.round(ms)} ms)`);
});
const failed = results.filter(({ why }) => why !== null).length;
const { chat, hooks, frames, control, raw } = form.fuzz;
console.log(
  `seed ${values.seed}: up to ${chat + hooks + frames + control + raw} fuzzed inputs in ${Math.round((performance.now() - began) / 1000)} s`,
);
console.log(`${results.length - failed} passed, ${failed} failed`);

// Tests of hostile workspaces on the real claude. Their names keep them out of `bun run test`, since they take minutes.
const files = [...new Bun.Glob("*.real.ts").scanSync(import.meta.dir)]
  .sort()
  .map((file) => join(import.meta.dir, file));
const only = values.only === "" ? [] : ["-t", values.only, "--pass-with-no-tests"];
const tests = Bun.spawn([process.execPath, "test", "--timeout", "60000", "--parallel=3", ...only, ...files], {
  cwd: join(import.meta.dir, "../.."),
  stdio: ["ignore", "inherit", "inherit"],
});
const code = await tests.exited;
process.exit(failed > 0 ? 1 : code);
