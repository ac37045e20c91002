/** The live screen of a conversation's Claude, read-only: rows that the server has rendered. */
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { ScreenRowsEvent, ScreenRun } from "../wire/screen-rows.ts";
import { messageOf, sessionPath } from "./access.ts";
import { readEvents } from "./events.ts";
import { connection, conversations } from "./live.ts";
import { Problem, Scroll } from "./parts.tsx";

export function Screen({ id }: { readonly id: string }) {
  const rows = useSignal<readonly (readonly ScreenRun[])[]>([]);
  const note = useSignal<string | null>("Connecting…");
  const isReachable = connection.value === "live";
  const isCold = conversations.value.get(id)?.state === "cold";

  // A new process has another screen, and a connection that was lost comes back.
  useEffect(() => {
    if (!isReachable) return;
    const ended = new AbortController();
    const apply = (event: ScreenRowsEvent) => {
      if (event.type === "size") {
        rows.value = Array.from({ length: event.rows }, () => []);
        note.value = null;
      } else if (event.type === "rows") {
        const next = [...rows.peek()];
        for (const { row, runs } of event.changed) next[row] = runs;
        rows.value = next;
      } else {
        note.value = "The process of this conversation has exited. Its next message starts one.";
      }
    };
    readEvents(`${sessionPath(id)}/screen/rows`, ({ data }) => apply(JSON.parse(data)), ended.signal).then(
      () => {
        note.value ??= "The connection to the server has ended.";
      },
      (error) => {
        if (!ended.signal.aborted) note.value = messageOf(error);
      },
    );
    return () => ended.abort();
  }, [id, isReachable, isCold]);

  return (
    <>
      <Problem message={note.value} />
      <Scroll of="terminal" label="Screen of Claude">
        {rows.value.map((runs, row) => (
          // A row is its position.
          <Row key={row} runs={runs} />
        ))}
      </Scroll>
      <p class="note">This view is read-only: nothing that you type reaches Claude.</p>
    </>
  );
}

const Row = ({ runs }: { readonly runs: readonly ScreenRun[] }) => (
  <div class="row">
    {runs.map((run, index) => (
      // A run is its position.
      <span key={index} class={classesOf(run)} style={coloursOf(run)}>
        {run.text}
      </span>
    ))}
  </div>
);

const classesOf = ({ bold, dim, italic, underline, strike }: ScreenRun): string =>
  Object.entries({ bold, dim, italic, underline, strike })
    .filter(([, isSet]) => isSet)
    .map(([name]) => name)
    .join(" ");

const FOREGROUND = "var(--terminal-text)";
const BACKGROUND = "var(--terminal)";

function coloursOf({ fg, bg, inverse }: ScreenRun) {
  if (fg === undefined && bg === undefined && !inverse) return {};
  const [text, ground] = [colour(fg, FOREGROUND), colour(bg, BACKGROUND)];
  return inverse ? { color: ground, backgroundColor: text } : { color: text, backgroundColor: ground };
}

/** The sixteen named colours of a terminal, which people know by sight. */
const NAMED = [
  ...["#3b4048", "#e06c75", "#98c379", "#e5c07b", "#61afef", "#c678dd", "#56b6c2", "#c8ccd4"],
  ...["#7f848e", "#ff8b94", "#b5e08f", "#ffd68a", "#85c8ff", "#dd9bf0", "#7fd5e0", "#ffffff"],
];
/** The levels of red, green and blue in the cube of 216 colours. */
const LEVELS = [0, 95, 135, 175, 215, 255];

/** @param value a number of the palette, or a colour of CSS; undefined for `otherwise` */
function colour(value: number | string | undefined, otherwise: string): string {
  if (value === undefined) return otherwise;
  if (typeof value === "string") return value;
  if (value < 16) return NAMED[value] ?? otherwise;
  if (value >= 232) return `rgb(${Array(3).fill(8 + (value - 232) * 10)})`;
  const at = value - 16;
  return `rgb(${[Math.floor(at / 36), Math.floor(at / 6) % 6, at % 6].map((level) => LEVELS[level])})`;
}
