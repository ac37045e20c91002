/**
 * `bun run release --dry-run` builds everything that a release consists of, into `dist/release`. Nothing is published
 * from here: `.github/workflows/release.yml` does that for a tag. `--help` lists the options.
 */
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { name, repository, version } from "../../package.json";
import { type Download, formula } from "./formula.ts";
import { writeMainPackage, writePluginPackage, writeProgramPackage } from "./packages.ts";
import { PLUGIN_PACKAGE, packageOf, TARGETS, type Target, tarballOf, thisTarget } from "./targets.ts";

const root = join(import.meta.dir, "../..");
const ids = TARGETS.map(({ id }) => id);
const { values } = parseArgs({
  options: {
    "dry-run": { type: "boolean", default: false },
    target: { type: "string", multiple: true, default: [] },
    out: { type: "string", default: join(root, "dist/release") },
    tag: { type: "string" },
    help: { type: "boolean", default: false },
  },
});
if (values.help) {
  console.log(`Usage: bun run release --dry-run [options]

  --target ID   builds the program of this target only; may be repeated; "this" is this machine's
                (${ids.join(", ")})
  --out FOLDER  where everything goes (dist/release); the folder is emptied
  --tag TAG     fails unless the tag, the version and the CHANGELOG agree`);
  process.exit(0);
}
if (!values["dry-run"]) {
  fail(
    `Nothing is published from here. Push the tag v${version}, and .github/workflows/release.yml publishes it; ` +
      "`bun run release --dry-run` builds everything for a look at it.",
  );
}
if (values.tag !== undefined) checkTag(values.tag);
const targets = values.target.length === 0 ? TARGETS : values.target.map(targetOf);
const out = values.out;
const url = `${repository}/releases/download/v${version}`;

// Removing a folder that has something else in it would be a bad surprise.
if (existsSync(out) && !existsSync(join(out, ".synthesis-release"))) {
  fail(`${out} exists and is no earlier release. Remove it, or choose another folder with --out.`);
}
rmSync(out, { recursive: true, force: true });
const staging = join(out, "staging");
mkdirSync(staging, { recursive: true });
writeFileSync(join(out, ".synthesis-release"), "");

writeMainPackage(join(staging, "main"));
writePluginPackage(join(staging, "plugin"));
const tarballs = [await pack("main", name), await pack("plugin", PLUGIN_PACKAGE)];
const downloads: Download[] = [];
const here = thisTarget().id;
for (const target of targets) {
  const folder = join(staging, target.id);
  mkdirSync(folder);
  await run([process.execPath, "run", "build", `--target=${target.bun}`, "--outfile", join(folder, "synthesis")], root);
  writeProgramPackage(folder, target);
  const ran = target.id === here;
  if (ran) await run([join(folder, "synthesis"), "--version"], folder);
  const tarball = await pack(target.id, packageOf(target));
  rmSync(folder, { recursive: true });
  tarballs.push(tarball);
  downloads.push({ target, url: `${url}/${tarball}`, sha256: sha256(join(out, tarball)) });
  console.log(`${tarball}: built${ran ? ", starts" : " only; it cannot run on this machine"}`);
}
rmSync(staging, { recursive: true });

writeFileSync(join(out, "synthesis.rb"), formula(downloads, repository));
writeFileSync(join(out, "install.sh"), installScript());
chmodSync(join(out, "install.sh"), 0o755);
const files = [...tarballs, "install.sh", "synthesis.rb"];
writeFileSync(join(out, "SHA256SUMS"), files.map((file) => `${sha256(join(out, file))}  ${file}\n`).join(""));
console.log(`${name} ${version} is in ${out}. Nothing was published.`);

function targetOf(id: string): Target {
  if (id === "this") return thisTarget();
  return TARGETS.find((one) => one.id === id) ?? fail(`There is no target ${id}. The targets are: ${ids.join(", ")}.`);
}

function checkTag(tag: string): void {
  if (tag !== `v${version}`) fail(`The tag ${tag} is not v${version}, as package.json has it. Correct one of them.`);
  const changelog = readFileSync(join(root, "CHANGELOG.md"), "utf8").split("\n");
  if (!changelog.some((line) => line === `## ${version}` || line.startsWith(`## ${version} `))) {
    fail(`CHANGELOG.md has no section "## ${version}". Name the section "Unreleased" so.`);
  }
}

function installScript(): string {
  const values: Record<string, string> = {
    VERSION: version,
    URL: url,
    TARBALL: tarballOf(packageOf({ id: "$id" })),
    TARGETS: ids.join(", "),
  };
  return readFileSync(join(root, "deploy/release/install.sh"), "utf8").replace(
    /@([A-Z]+)@/g,
    (_, key) => values[key] ?? fail(key),
  );
}

/** Packs `staging/<folder>`. @returns the name of the file */
async function pack(folder: string, packageName: string): Promise<string> {
  await run(["npm", "pack", "--silent", "--pack-destination", out], join(staging, folder));
  const tarball = tarballOf(packageName);
  if (!existsSync(join(out, tarball))) fail(`npm pack did not write ${tarball}.`);
  return tarball;
}

async function run(command: string[], cwd: string): Promise<void> {
  const child = Bun.spawn(command, { cwd, stdout: "pipe", stderr: "pipe" });
  const [code, printed, errors] = await Promise.all([child.exited, child.stdout.text(), child.stderr.text()]);
  if (code !== 0) fail(`\`${command.join(" ")}\` failed:\n${printed}${errors}`);
}

function sha256(file: string): string {
  return new Bun.CryptoHasher("sha256").update(readFileSync(file)).digest("hex");
}

function fail(message: string): never {
  console.error(message);
  process.exit(1);
}
