/** The npm packages of a release: the command, the program for each target, and the OpenClaw plugin. */
import { chmodSync, copyFileSync, cpSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { description, license, name, repository, version } from "../../package.json";
import { PLUGIN_PACKAGE, packageOf, TARGETS, type Target } from "./targets.ts";

const root = join(import.meta.dir, "../..");
const common = { version, license, repository: { type: "git", url: `git+${repository}.git` } };
const publishConfig = { access: "public" };

/** Writes the package with the command. It depends on the programs of all targets, of which npm installs one. */
export function writeMainPackage(folder: string): void {
  write(folder, {
    name,
    ...common,
    description,
    keywords: ["claude", "claude-code", "openai", "openclaw"],
    bin: { synthesis: "bin/synthesis.cjs" },
    files: ["bin"],
    engines: { node: ">=18" },
    optionalDependencies: Object.fromEntries(TARGETS.map((target) => [packageOf(target), version])),
    publishConfig,
  });
  mkdirSync(join(folder, "bin"));
  copyFileSync(join(root, "deploy/release/launcher.cjs"), join(folder, "bin/synthesis.cjs"));
  chmodSync(join(folder, "bin/synthesis.cjs"), 0o755);
  copyFileSync(join(root, "README.md"), join(folder, "README.md"));
}

/** Writes the package of a target around the program that is already in the folder as `synthesis`. */
export function writeProgramPackage(folder: string, target: Target): void {
  const { os, cpu, libc } = target;
  write(folder, {
    name: packageOf(target),
    ...common,
    description: `The program synthesis for ${target.id}. Install ${name} instead.`,
    files: ["synthesis"],
    os: [os],
    cpu: [cpu],
    ...(libc ? { libc: [libc] } : {}),
    // A package manager that keeps packages in archives must unpack this one to run it.
    preferUnplugged: true,
    publishConfig,
  });
}

/** Writes the OpenClaw plugin as a package that OpenClaw can install by its name. */
export function writePluginPackage(folder: string): void {
  const source = join(root, "src/setup/openclaw-plugin");
  cpSync(source, folder, { recursive: true });
  const { private: _, ...manifest } = JSON.parse(readFileSync(join(source, "package.json"), "utf8"));
  write(folder, {
    ...manifest,
    name: PLUGIN_PACKAGE,
    ...common,
    description: JSON.parse(readFileSync(join(source, "openclaw.plugin.json"), "utf8")).description,
    files: ["index.js", "openclaw.plugin.json"],
    publishConfig,
  });
}

function write(folder: string, manifest: object): void {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "package.json"), `${JSON.stringify(manifest, null, 2)}\n`);
  copyFileSync(join(root, "LICENSE"), join(folder, "LICENSE"));
}
