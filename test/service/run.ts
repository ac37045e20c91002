/**
 * `bun run test:service` runs the service on a real systemd user manager, in namespaces of its own, where systemd finds
 * what it takes for a machine that it has booted.
 */
import { join } from "node:path";

for (const program of ["unshare", "systemctl", "systemd-analyze"]) {
  if (!Bun.which(program)) throw new Error(`This test needs the program ${program}. Install systemd and util-linux.`);
}
const asRoot = process.getuid?.() === 0 ? [] : ["sudo", "-E", "env", `PATH=${process.env.PATH}`];
const script = `mkdir -p /run/systemd && mount -t tmpfs tmpfs /run/systemd && mkdir /run/systemd/system && exec "$@"`;
const command = [process.execPath, "test", "--timeout", "60000", join(import.meta.dir, "service.real.ts")];
const tests = Bun.spawn(
  [
    ...asRoot,
    "unshare",
    "--mount",
    "--pid",
    "--fork",
    "--kill-child",
    "--mount-proc",
    "sh",
    "-ec",
    script,
    "sh",
    ...command,
  ],
  { cwd: join(import.meta.dir, "../.."), stdio: ["ignore", "inherit", "inherit"] },
);
process.exit(await tests.exited);
