/** How the page comes in: the code of its link is exchanged once for a token of its own, which this tab keeps. */
import { signal } from "@preact/signals";
import type { PageRole, PageToken } from "../wire/page.ts";

/** Of `sessionStorage`, which belongs to this tab alone and is never sent by the browser itself. */
const TOKEN = "synthesis.token";

export type Access =
  | { readonly state: "entering" }
  | { readonly state: "in"; readonly token: string }
  /** @property why for the reader, in sentences */
  | { readonly state: "out"; readonly why: string };

export const access = signal<Access>({ state: "entering" });

/** What the page may do, once the server has said so. */
export const role = signal<PageRole | null>(null);

/** Comes in with the code of the address, or with the token of an earlier load of this tab. */
export async function enter(): Promise<void> {
  const code = new URLSearchParams(location.hash.slice(1)).get("code");
  if (code === null) {
    const token = sessionStorage.getItem(TOKEN);
    access.value = token === null ? { state: "out", why: "This page is not signed in." } : { state: "in", token };
    return;
  }
  // The code must stay neither in the address nor in the history.
  history.replaceState(null, "", location.pathname);
  try {
    const response = await fetch("/v1/page/tokens", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ code }),
    });
    if (!response.ok) return leave(await problemOf(response));
    const entered = (await response.json()) as PageToken;
    sessionStorage.setItem(TOKEN, entered.token);
    role.value = entered.role;
    access.value = { state: "in", token: entered.token };
  } catch {
    leave("The server did not answer.");
  }
}

/** Comes in with a link that is put into the address of this tab: only the fragment changes, so nothing is loaded. */
export function followLinks(): void {
  addEventListener("hashchange", () => {
    if (new URLSearchParams(location.hash.slice(1)).has("code")) void enter();
  });
}

/** The token is no longer accepted, or was given back. */
export function leave(why: string): void {
  sessionStorage.removeItem(TOKEN);
  role.value = null;
  access.value = { state: "out", why };
}

export async function signOut(): Promise<void> {
  // Without an answer the token still ends with the server, and this tab forgets it now.
  await send("/v1/page/tokens/current", { method: "DELETE" }).catch(() => {});
  leave("You have signed out.");
}

/** A request that the server has refused. The message says what to do. */
export class Refused extends Error {}

/**
 * Sends a request with the page's token.
 * @throws Refused when the server refuses it, and a TypeError when the server cannot be reached
 */
export async function send(path: string, options: RequestInit = {}): Promise<Response> {
  const current = access.peek();
  if (current.state !== "in") throw new Refused("This page is not signed in.");
  const headers = { ...options.headers, authorization: `Bearer ${current.token}` };
  const response = await fetch(path, { ...options, headers });
  if (response.ok) return response;
  const problem = await problemOf(response);
  if (response.status === 401) leave("The server no longer knows this page: it was restarted, or the page signed out.");
  throw new Refused(problem);
}

/** Sends a request with a JSON body, or without one. */
export const post = (path: string, body?: object): Promise<Response> =>
  send(path, {
    method: "POST",
    ...(body ? { body: JSON.stringify(body), headers: { "content-type": "application/json" } } : {}),
  });

/** The JSON of an address. The server is the page's own, so what it sends has the type that it declares. */
export const get = async <T>(path: string, signal?: AbortSignal): Promise<T> =>
  (await send(path, signal ? { signal } : {})).json() as Promise<T>;

/** The address of a conversation. */
export const sessionPath = (key: string): string => `/v1/sessions/${encodeURIComponent(key)}`;

async function problemOf(response: Response): Promise<string> {
  try {
    return ((await response.json()) as { error: { message: string } }).error.message;
  } catch {
    return `The server answered with status ${response.status}.`;
  }
}

/** What to show of an error. */
export const messageOf = (error: unknown): string =>
  error instanceof Refused ? error.message : "The server did not answer. Check that it runs, and try again.";
