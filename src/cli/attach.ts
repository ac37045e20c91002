/** `synthesis attach`: shows the terminal of a session's Claude Code, live. Nothing that the user types reaches it. */
import { Command } from "commander";
import { EventSourceParserStream } from "eventsource-parser/stream";
import { visibleLine } from "../core/visible-text.ts";
import { screenEvent } from "../wire/screen.ts";
import { Failure } from "./failure.ts";
import { clip } from "./format.ts";
import { enterFullScreen, leaveFullScreen } from "./full-screen.ts";
import { homeOption, sessionArgument } from "./options.ts";
import { runningServer } from "./running-server.ts";
import { createTerminalView, type TerminalView } from "./terminal-view.ts";

/** Ctrl-] */
const EXIT_KEY = 0x1d;

export const attachCommand = () =>
  new Command("attach")
    .description("show the terminal of a session's Claude Code, live and read-only")
    .addArgument(sessionArgument())
    .addOption(homeOption())
    .action(async (name: string, { home }: { home?: string }) => {
      if (!process.stdin.isTTY || !process.stdout.isTTY) {
        throw new Failure("attach needs a terminal. Use `synthesis sessions show` instead.");
      }
      const server = runningServer(home);
      const key = await server.keyOf(name);
      const exit = new AbortController();
      const screen = await server.screen(key, exit.signal);

      enterFullScreen((bytes) => {
        if (bytes.includes(EXIT_KEY)) exit.abort();
      });
      const display = createDisplay(` Ctrl-] exits; the view is read-only. ${visibleLine(key)} `);
      try {
        const reason = await display.show(screen);
        leaveFullScreen();
        console.log(reason);
      } catch (error) {
        leaveFullScreen();
        if (!exit.signal.aborted) {
          throw new Failure(`The connection to the server was lost: ${(error as Error).message}`);
        }
      }
      process.exit();
    });

/** Draws a session's screen on this terminal. @param footer the text of the last line */
function createDisplay(footer: string) {
  const { stdout } = process;
  let view: TerminalView | undefined;
  let drawn: string[] = [];

  /** Writes the lines that have changed. */
  const draw = () => {
    const { columns, rows } = stdout;
    const lines = [...(view?.lines(columns, rows - 1) ?? []), `\x1b[7m${clip(footer, columns)}\x1b[0m`];
    const changed = lines.flatMap((line, row) => {
      if (line === drawn[row]) return [];
      // The row is erased before it is drawn. After a full line the cursor stays in the last column and would erase it.
      return [`\x1b[${row + 1};1H\x1b[2K${line}`];
    });
    drawn = lines;
    if (changed.length > 0) stdout.write(changed.join(""));
  };
  stdout.on("resize", () => {
    drawn = [];
    stdout.write("\x1b[2J");
    draw();
  });

  return {
    /** Draws until the stream of events ends. @returns why it has ended */
    show: async (screen: Response): Promise<string> => {
      const events = (screen.body as ReadableStream<Uint8Array<ArrayBuffer>>)
        .pipeThrough(new TextDecoderStream())
        .pipeThrough(new EventSourceParserStream());
      for await (const { data } of events) {
        const event = screenEvent.parse(JSON.parse(data));
        if (event.type === "end") return "The session's Claude Code has exited.";
        if (event.type === "size") {
          view = createTerminalView(event);
        } else {
          await view?.write(Buffer.from(event.bytes, "base64"));
        }
        draw();
      }
      return "The server has stopped.";
    },
  };
}
