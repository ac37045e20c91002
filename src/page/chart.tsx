/** A chart over time. The library is loaded with the first chart, so that the rest of the page need not wait for it. */
import { useEffect, useRef } from "preact/hooks";

export interface ChartProps {
  /** What the chart shows, for those who cannot see it. */
  readonly label: string;
  /** Unix milliseconds, in order. */
  readonly at: readonly number[];
  readonly kind: "bars" | "line";
  readonly series: readonly { readonly name: string; readonly values: readonly (number | null)[] }[];
  readonly format: (value: number | null) => string;
}

export function Chart(props: ChartProps) {
  const { label, at, kind, series } = props;
  const box = useRef<HTMLDivElement>(null);
  const content = JSON.stringify([at, kind, series]);
  // `content` is what is drawn.
  useEffect(() => {
    let remove = () => {};
    let isEnded = false;
    void import("./plot.ts").then(({ draw }) => {
      if (!isEnded && box.current) remove = draw(box.current, props);
    });
    return () => {
      isEnded = true;
      remove();
    };
  }, [content]);
  return <div class="chart" ref={box} role="img" aria-label={label} />;
}
