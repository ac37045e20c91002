/** `synthesis attach`: claude's terminal in one's own, to look at. Nothing typed here reaches claude. */
import { Command } from "commander";
import { visibleLine } from "../core/visible-text.ts";
import { screenEvent } from "../wire/screen.ts";
import { Failure } from "./failure.ts";
import { runningServer } from "./running-server.ts";
import { homeOption } from "./settings.ts";
import { clip } from "./table.ts";
import { createTerminalView, type TerminalView } from "./terminal-view.ts";

/** Ctrl-] */
const LEAVE = 0x1d;

const ENTER_SCREEN = "\x1b[?1049h\x1b[?25l\x1b[2J";
const LEAVE_SCREEN = "\x1b[0m\x1b[?25h\x1b[?1049l";

export const attachCommand = () =>
  new Command("attach")
    .description("look at a session's claude, live and read-only; Ctrl-] leaves")
    .argument("<session>", "its key, or a beginning or end of it that no other has")
    .addOption(homeOption())
    .action(async (name: string, { home }: { home?: string }) => {
      const { stdin, stdout } = process;
      if (!stdin.isTTY || !stdout.isTTY) {
        throw new Failure("attach draws on a terminal, and this is none. `synthesis sessions show` tells in words.");
      }
      const server = runningServer(home);
      const key = await server.keyOf(name);
      const leaving = new AbortController();
      const screen = await server.screen(key, leaving.signal);

      takeTerminal(() => leaving.abort());
      const view = createView(` Ctrl-] leaves; nothing else does anything. ${visibleLine(key)} `);
      try {
        const why = await view.follow(screen);
        restoreTerminal();
        console.log(why);
      } catch (error) {
        restoreTerminal();
        if (!leaving.signal.aborted) throw new Failure(`The server shows no more: ${(error as Error).message}`);
      }
      process.exit();
    });

let taken = false;

/** The terminal is ours until the process ends, however it does. */
function takeTerminal(leave: () => void): void {
  const { stdin, stdout } = process;
  process.on("exit", restoreTerminal);
  for (const [signal, code] of [
    ["SIGINT", 130],
    ["SIGTERM", 143],
    ["SIGHUP", 129],
  ] as const) {
    process.on(signal, () => process.exit(code));
  }
  taken = true;
  stdin.setRawMode(true);
  stdin.on("data", (bytes: Buffer) => {
    if (bytes.includes(LEAVE)) leave();
  });
  stdout.write(ENTER_SCREEN);
}

function restoreTerminal(): void {
  if (!taken) return;
  taken = false;
  process.stdout.write(LEAVE_SCREEN);
  process.stdin.setRawMode(false);
}

/** @param footer stands in the last line */
function createView(footer: string) {
  const { stdout } = process;
  let picture: TerminalView | undefined;
  let painted: string[] = [];

  /** Writes the lines that have changed. */
  const paint = () => {
    const { columns, rows } = stdout;
    const lines = [...(picture?.lines(columns, rows - 1) ?? []), `\x1b[7m${clip(footer, columns)}\x1b[0m`];
    const changed = lines.flatMap((line, row) => {
      if (line === painted[row]) return [];
      // Erased before and not after: behind a line that fills the row, the cursor still stands on its last column.
      return [`\x1b[${row + 1};1H\x1b[2K${line}`];
    });
    painted = lines;
    if (changed.length > 0) stdout.write(changed.join(""));
  };
  stdout.on("resize", () => {
    painted = [];
    stdout.write("\x1b[2J");
    paint();
  });

  return {
    /** Draws what comes, to its end. @returns what to tell about the end */
    follow: async (screen: Response): Promise<string> => {
      for await (const data of eventsOf(screen)) {
        const event = screenEvent.parse(JSON.parse(data));
        if (event.type === "end") return "This session's claude has ended.";
        if (event.type === "size") {
          picture = createTerminalView(event);
          paint();
        } else {
          await picture?.draw(Buffer.from(event.bytes, "base64"));
          paint();
        }
      }
      return "The server has ended.";
    },
  };
}

/** The data of the events of an answer, as they come. */
async function* eventsOf(response: Response): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const bytes of response.body as ReadableStream<Uint8Array>) {
    const events = (rest + decoder.decode(bytes, { stream: true })).split("\n\n");
    rest = events.pop() ?? "";
    for (const event of events) yield event.replace(/^data: /, "");
  }
}
