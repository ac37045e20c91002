#!/usr/bin/env node
/**
 * The command of the npm package. It runs the program of the optional package for this machine, hands signals on to it,
 * and exits as it does.
 */
const { spawn } = require("node:child_process");
const { constants } = require("node:os");
const { name, optionalDependencies } = require("../package.json");

const programPackage = packageForThisMachine();
if (!(programPackage in optionalDependencies)) {
  fail(
    `There is no synthesis for ${process.platform} ${process.arch}, only for ${Object.keys(optionalDependencies)
      .map((one) => one.replace(/^.*\/cli-/, ""))
      .join(", ")}. Clone the repository and run it with Bun: \`bun run start\`.`,
  );
}
let program;
try {
  program = require.resolve(`${programPackage}/synthesis`);
} catch {
  fail(
    `The package ${programPackage} is not installed, which has the program for this machine. Install it: ` +
      `\`npm install -g ${name} --include=optional\`.`,
  );
}

// The server looks for this process and stops when it has gone, since SIGKILL cannot be handed on.
const env = { ...process.env, SYNTHESIS_LAUNCHER_PID: String(process.pid) };
const child = spawn(program, process.argv.slice(2), { stdio: "inherit", env });
// Ctrl-C in a terminal reaches both processes. The server counts signals that arrive together as one.
for (const signal of ["SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2"]) {
  process.on(signal, () => child.kill(signal));
}
child.on("error", (error) => fail(`${program} could not be started: ${error.message}`));
child.on("exit", (code, signal) => {
  if (signal === null) process.exit(code);
  process.removeAllListeners(signal);
  process.kill(process.pid, signal);
  // A signal that does not end Node, or is not delivered at once, must not end in success.
  setTimeout(() => process.exit(128 + (constants.signals[signal] ?? 0)), 1000);
});

function packageForThisMachine() {
  const scope = name.slice(0, name.indexOf("/"));
  const musl = process.platform === "linux" && !process.report.getReport().header.glibcVersionRuntime;
  return `${scope}/cli-${process.platform}-${process.arch}${musl ? "-musl" : ""}`;
}

function fail(message) {
  console.error(message);
  process.exit(1);
}
