/** A value that is fetched again whenever what it depends on changes. */
import { type Signal, useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { get, messageOf } from "./access.ts";

export interface Fetched<T> {
  /** The newest value; null before the first one. It stays while the next one is fetched. */
  readonly value: Signal<T | null>;
  /** Why the newest fetch failed; null if it did not. */
  readonly problem: Signal<string | null>;
}

/** @param revision changes when the value may have changed on the server */
export function useFetched<T>(path: string, revision: unknown): Fetched<T> {
  const value = useSignal<T | null>(null);
  const problem = useSignal<string | null>(null);
  // `revision` says when to fetch again.
  useEffect(() => {
    const ended = new AbortController();
    get<T>(path, ended.signal).then(
      (fetched) => {
        value.value = fetched;
        problem.value = null;
      },
      (error) => {
        if (!ended.signal.aborted) problem.value = messageOf(error);
      },
    );
    return () => ended.abort();
  }, [path, revision]);
  return { value, problem };
}
