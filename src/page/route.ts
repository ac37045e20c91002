/** Which view the page shows: the fragment of the address, so that Back, Forward and bookmarks work. */
import { signal } from "@preact/signals";

export type Route =
  | { readonly view: "overview" | "conversations" | "needs-you" | "usage" | "errors" }
  | { readonly view: "conversation" | "screen"; readonly key: string };

const readRoute = (): Route => {
  const [view = "", key, part] = location.hash.replace(/^#\/?/, "").split("/").map(decode);
  if (view === "conversations" && key) return { view: part === "screen" ? "screen" : "conversation", key };
  if (view === "conversations" || view === "needs-you" || view === "usage" || view === "errors") return { view };
  return { view: "overview" };
};

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    // Someone has typed a lone percent sign.
    return text;
  }
}

export const route = signal<Route>(readRoute());

export function followAddress(): void {
  addEventListener("hashchange", () => {
    route.value = readRoute();
  });
}

export const conversationHref = (key: string): string => `#/conversations/${encodeURIComponent(key)}`;
export const screenHref = (key: string): string => `${conversationHref(key)}/screen`;
