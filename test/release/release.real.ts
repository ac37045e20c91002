/**
 * What a release consists of, built for this machine and installed as a user installs it: with npm, on a machine with
 * nothing but Node, and with `install.sh`, on a machine without it.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { PLUGIN_PACKAGE, packageOf, tarballOf, thisTarget } from "../../deploy/release/targets.ts";
import { name, version } from "../../package.json";
import { descendants, waitForExit, withCommand } from "../support/processes.ts";
import { createWorld, type World } from "../support/world.ts";

const root = join(import.meta.dir, "../..");
const target = thisTarget();
let folder: string;
let release: string;

beforeAll(async () => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), "synthesis-release-")));
  release = join(folder, "release");
  await succeeds([process.execPath, "deploy/release/release.ts", "--dry-run", "--target", "this", "--out", release], {
    cwd: root,
  });
}, 300_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test("the checksums are those of all files of the release", async () => {
  expect(readdirSync(release).sort()).toEqual(
    [
      ".synthesis-release",
      "SHA256SUMS",
      "install.sh",
      "synthesis.rb",
      ...[name, PLUGIN_PACKAGE, packageOf(target)].map(tarballOf),
    ].sort(),
  );
  const checked = await succeeds(["sha256sum", "-c", "SHA256SUMS"], { cwd: release });
  expect(checked.match(/: OK/g)).toHaveLength(5);
});

test("nothing is published without --dry-run, and no tag of another version is released", async () => {
  const publish = await run([process.execPath, "deploy/release/release.ts"], { cwd: root });
  expect(publish).toMatchObject({ code: 1, errors: expect.stringContaining("release.yml") });
  const tag = await run([process.execPath, "deploy/release/release.ts", "--dry-run", "--tag", "v9.9.9"], { cwd: root });
  expect(tag).toMatchObject({ code: 1, errors: expect.stringContaining(`v${version}`) });
});

describe("npm, on a machine with Node and nothing else", () => {
  let prefix: string;
  let path: string;

  beforeAll(async () => {
    prefix = join(folder, "prefix");
    path = folderOf("node-only", ["node", "npm", "sh", "ps"]);
    const tarballs = [name, packageOf(target)].map((one) => join(release, tarballOf(one)));
    await succeeds(["npm", "install", "-g", ...tarballs, "--prefix", prefix, "--no-audit", "--no-fund"], {
      env: npmEnvironment(path),
    });
  }, 300_000);

  test("answers the README's curl, and SIGTERM to the command ends the server and its claudes", async () => {
    const program = [join(prefix, "bin/synthesis")];
    await using world = await createWorld({ program, env: { PATH: path } });
    expect(await readmeCurl(world)).toContain("You said: Tell me a story in ten lines.");
    const pids = descendants(world.server.pid);
    expect(withCommand(pids, /claude/)).not.toHaveLength(0);
    expect(await world.server.stop("SIGTERM")).toBe(0);
    await waitForExit(pids);
  });

  test("hands arguments and the exit code on", async () => {
    const program = join(prefix, "bin/synthesis");
    const env = { PATH: path, HOME: folder };
    expect(await run([program, "--version"], { env })).toMatchObject({ code: 0, printed: `${version}\n` });
    expect(await run([program, "nonsense"], { env })).toMatchObject({ code: 1 });
    expect(await run([program, "--no-such-option"], { env })).toMatchObject({ code: 1 });
  });

  test.each(["SIGTERM", "SIGKILL"] as const)("%s to the command stops the server", async (signal) => {
    await using world = await createWorld({ standIn: true, program: [join(prefix, "bin/synthesis")] });
    await world.server.post({ user: "me", messages: [{ role: "user", content: "hello" }] });
    const pids = descendants(world.server.pid);
    expect(withCommand(pids, /cli-.*synthesis serve/)).toHaveLength(1);
    await world.server.stop(signal);
    await waitForExit(pids);
  });

  test("says what to do where there is no program", async () => {
    const bare = join(prefix, "lib/node_modules", name);
    const alone = join(folder, "alone");
    cpSync(bare, join(alone, name), { recursive: true });
    const command = ["node", join(alone, name, "bin/synthesis.cjs")];
    const missing = await run(command, { env: { PATH: path } });
    expect(missing).toMatchObject({ code: 1, errors: expect.stringContaining("--include=optional") });
    const other = join(folder, "other-system.cjs");
    writeFileSync(other, 'Object.defineProperty(process, "platform", { value: "freebsd" });');
    const unsupported = await run(["node", "-r", other, ...command.slice(1)], { env: { PATH: path } });
    expect(unsupported).toMatchObject({ code: 1, errors: expect.stringContaining("bun run start") });
  });
});

describe("install.sh, on a machine without Node", () => {
  const tools = ["sh", "uname", "ldd", "cp", "mkdir", "mktemp", "rm", "mv", "chmod", "tar", "gzip", "cat", "bash"];
  const checksums = process.platform === "darwin" ? "shasum" : "sha256sum";
  let path: string;
  beforeAll(() => {
    path = folderOf("nothing", [...tools, checksums]);
  });
  const install = (from: string, to: string, environment: Record<string, string> = {}) =>
    run(["sh", join(from, "install.sh"), "--to", to], { env: { PATH: path, ...environment } });

  test("installs the program, which answers the README's curl", async () => {
    const bin = join(folder, "with space/bin");
    const installed = await install(release, bin);
    expect(installed).toMatchObject({ code: 0, errors: "" });
    expect(readdirSync(bin)).toEqual(["synthesis"]);
    await using world = await createWorld({ program: [join(bin, "synthesis")], env: { PATH: path } });
    expect(await readmeCurl(world)).toContain("You said: Tell me a story in ten lines.");
  });

  test("downloads with curl, or with wget, also over an older program", async () => {
    const published = await smallRelease();
    await using server = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      fetch: ({ url }) => new Response(Bun.file(join(published, new URL(url).pathname))),
    });
    for (const program of ["curl", "wget"]) {
      const to = join(folder, program);
      mkdirSync(to);
      writeFileSync(join(to, "synthesis"), "older");
      const env = { PATH: folderOf(`with-${program}`, [...tools, checksums, program]), HOME: folder };
      const script = readFileSync(join(release, "install.sh"));
      // As `curl … | sh` runs it.
      const piped = await run(["sh", "-s", "--", "--from", server.url.href, "--to", to], { env, stdin: script });
      expect(piped).toMatchObject({ code: 0 });
      expect(readFileSync(join(to, "synthesis"), "utf8")).toContain("published");
      expect(readdirSync(to)).toEqual(["synthesis"]);
    }
    const neither = ["sh", join(release, "install.sh"), "--from", server.url.href, "--to", join(folder, "neither")];
    expect(await run(neither, { env: { PATH: path } })).toMatchObject({
      code: 1,
      errors: expect.stringContaining("curl or wget"),
    });
  });

  test("refuses a damaged package, and one that the checksums do not name", async () => {
    const damaged = join(folder, "damaged");
    mkdirSync(damaged);
    for (const file of ["install.sh", "SHA256SUMS"]) cpSync(join(release, file), join(damaged, file));
    writeFileSync(join(damaged, tarballOf(packageOf(target))), "damaged");
    const to = join(folder, "refused");
    expect(await install(damaged, to)).toMatchObject({ code: 1, errors: expect.stringContaining("SHA-256") });
    writeFileSync(join(damaged, "SHA256SUMS"), "");
    expect(await install(damaged, to)).toMatchObject({ code: 1, errors: expect.stringContaining("no line") });
    rmSync(join(damaged, "SHA256SUMS"));
    expect((await run(["sh", join(damaged, "install.sh"), "--from", damaged, "--to", to])).code).toBe(1);
    expect(readdirSync(to)).toEqual([]);
  });

  test.each([
    ["FreeBSD", "amd64"],
    ["Linux", "riscv64"],
  ])("says what to do on %s %s", async (system, machine) => {
    const other = folderOf(`other-${system}`, [...tools.filter((tool) => tool !== "uname"), checksums]);
    writeFileSync(join(other, "uname"), `#!/bin/sh\n[ "$1" = -s ] && echo ${system} || echo ${machine}\n`, {
      mode: 0o755,
    });
    expect(await install(release, join(folder, "never"), { PATH: other })).toMatchObject({
      code: 1,
      errors: expect.stringMatching(new RegExp(`${system} ${machine}.*bun run start`)),
    });
  });
});

/** A release whose program is a script, because the real one takes seconds to pack, unpack and start. */
async function smallRelease(): Promise<string> {
  const published = join(folder, "published");
  mkdirSync(join(published, "package"), { recursive: true });
  writeFileSync(join(published, "package/synthesis"), "#!/bin/sh\necho published\n");
  const tarball = tarballOf(packageOf(target));
  await succeeds(["tar", "-czf", tarball, "package"], { cwd: published });
  const sum = new Bun.CryptoHasher("sha256").update(readFileSync(join(published, tarball))).digest("hex");
  writeFileSync(join(published, "SHA256SUMS"), `${sum}  ${tarball}\n`);
  return published;
}

/** The README's curl, with the address and the key file of this server. @returns the text of the answer */
async function readmeCurl({ server, serverEnv }: World): Promise<string> {
  const readme = readFileSync(join(root, "README.md"), "utf8");
  const [command = ""] = /^curl -N [\s\S]*?(?=\n```)/m.exec(readme) ?? [];
  expect(command).toContain("http://127.0.0.1:18990/");
  const here = command
    .replace("http://127.0.0.1:18990", server.url)
    .replace("~/.synthesis", `'${serverEnv.SYNTHESIS_HOME}'`);
  const printed = await succeeds(["bash", "-c", here]);
  const chunks = printed.split("\n").flatMap((line) => (line.startsWith("data: {") ? [JSON.parse(line.slice(6))] : []));
  return chunks.map(({ choices }) => choices[0]?.delta.content ?? "").join("");
}

/** A folder with links to these programs, for a PATH that has nothing else. */
function folderOf(called: string, programs: readonly string[]): string {
  const bin = join(folder, called);
  rmSync(bin, { recursive: true, force: true });
  mkdirSync(bin);
  for (const program of programs) {
    const found = Bun.which(program);
    if (!found) throw new Error(`This test needs the program ${program}.`);
    symlinkSync(found, join(bin, program));
  }
  return bin;
}

/** npm reads the configuration of this user, such as the registry, and keeps nothing. */
function npmEnvironment(path: string): Record<string, string> {
  const { NODE_EXTRA_CA_CERTS } = process.env;
  return {
    PATH: path,
    HOME: folder,
    npm_config_cache: join(folder, "npm-cache"),
    npm_config_userconfig: join(userInfo().homedir, ".npmrc"),
    ...(NODE_EXTRA_CA_CERTS ? { NODE_EXTRA_CA_CERTS } : {}),
  };
}

interface Options {
  readonly cwd?: string;
  readonly env?: Record<string, string>;
  readonly stdin?: Uint8Array;
}

async function run(command: string[], { stdin, ...options }: Options = {}) {
  const child = Bun.spawn(command, { ...options, stdin: stdin ?? "ignore", stdout: "pipe", stderr: "pipe" });
  const [code, printed, errors] = await Promise.all([child.exited, child.stdout.text(), child.stderr.text()]);
  return { code, printed, errors };
}

/** Runs a command that must succeed. @returns what it prints */
async function succeeds(command: string[], options: Options = {}): Promise<string> {
  const { code, printed, errors } = await run(command, options);
  expect(code, `${command.join(" ")}\n${printed}${errors}`).toBe(0);
  return printed;
}
