/** Draws a chart with uPlot, in the colours of the page, as wide as its box. */
import uPlot from "uplot";
import type { ChartProps } from "./chart.tsx";
import { clockMinute, date } from "./format.ts";

const HEIGHT = 220;
const DAY_S = 24 * 60 * 60;
/** Between two days that are named below the bars, in seconds. */
const DAYS_APART = [1, 2, 7, 14, 28, 84].map((days) => days * DAY_S);
/** The part of the space between two bars that a bar fills, and its widest, in pixels. */
const BAR = [0.7, 48] as const;

/** @returns removes the chart */
export function draw(box: HTMLElement, { at, kind, series, format }: ChartProps): () => void {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  let plot: uPlot | undefined;

  const redraw = () => {
    plot?.destroy();
    const style = getComputedStyle(document.documentElement);
    const colour = (name: string) => style.getPropertyValue(name).trim();
    const axis = { stroke: colour("--quiet"), grid: { stroke: colour("--line") }, ticks: { stroke: colour("--line") } };
    const span = (at.at(-1) ?? 0) - (at[0] ?? 0);
    const timeText = (seconds: number) =>
      (kind === "bars" || span > 2_000 * DAY_S ? date : clockMinute)(seconds * 1_000);
    // uPlot would show three years around a single day.
    const [first, last] = [(at[0] ?? 0) / 1_000, (at.at(-1) ?? 0) / 1_000];
    const colours = [colour("--accent"), colour("--second")];
    plot = new uPlot(
      {
        width: box.clientWidth,
        height: HEIGHT,
        legend: { live: false },
        cursor: { show: false },
        scales: {
          // A bar stands on both sides of its day.
          x: { range: () => (kind === "bars" ? [first - DAY_S / 2, last + DAY_S / 2] : [first, last]) },
          y: { range: (_plot, _min, max) => [0, max > 0 ? max * 1.1 : 1] },
        },
        axes: [
          {
            ...axis,
            values: (_plot, values) => values.map(timeText),
            ...(kind === "bars" ? { incrs: DAYS_APART } : {}),
          },
          { ...axis, size: 60, values: (_plot, values) => values.map(format) },
        ],
        series: [
          {},
          ...series.map(({ name }, index) => ({
            label: name,
            stroke: colours[index] ?? axis.stroke,
            width: 2,
            points: { show: at.length < 3 },
            ...(kind === "bars"
              ? {
                  fill: colours[index] ?? axis.stroke,
                  width: 0,
                  points: { show: false },
                  paths: uPlot.paths.bars?.({ size: [...BAR] as [number, number] }) ?? null,
                }
              : {}),
          })),
        ],
      } as uPlot.Options,
      [at.map((ms) => ms / 1_000), ...series.map(({ values }) => [...values])] as uPlot.AlignedData,
      box,
    );
  };
  redraw();
  dark.addEventListener("change", redraw);
  const resized = new ResizeObserver(() => plot?.setSize({ width: box.clientWidth, height: HEIGHT }));
  resized.observe(box);
  return () => {
    dark.removeEventListener("change", redraw);
    resized.disconnect();
    plot?.destroy();
  };
}
