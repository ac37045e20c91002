/** Takes over the user's terminal, and gives it back however the program exits. */

/** Switch to the alternate screen, hide the cursor and clear the screen. */
const ENTER = "\x1b[?1049h\x1b[?25l\x1b[2J";
/** Reset the colours, show the cursor and switch back to the normal screen. */
const LEAVE = "\x1b[0m\x1b[?25h\x1b[?1049l";

/** Exit codes as a shell expects them: 128 and the number of the signal. */
const EXIT_CODES = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;

let isActive = false;

/** @param onInput gets what the user types; nothing is echoed, and Ctrl-C is input like any other key */
export function enterFullScreen(onInput: (bytes: Buffer) => void): void {
  const { stdin, stdout } = process;
  process.on("exit", leaveFullScreen);
  for (const [signal, code] of Object.entries(EXIT_CODES)) process.on(signal, () => process.exit(code));
  isActive = true;
  stdin.setRawMode(true);
  stdin.on("data", onInput);
  stdout.write(ENTER);
}

/** Does nothing when the terminal has been given back. */
export function leaveFullScreen(): void {
  if (!isActive) return;
  isActive = false;
  process.stdout.write(LEAVE);
  process.stdin.setRawMode(false);
}
