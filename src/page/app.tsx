/** The frame around the views: navigation, the banner of waiting questions, and the state of the connection. */
import { effect } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { access, role, signOut } from "./access.ts";
import { Conversation } from "./conversation.tsx";
import { Conversations } from "./conversations.tsx";
import { Errors } from "./errors.tsx";
import { conversationName } from "./format.ts";
import { connection, conversations, permissions } from "./live.ts";
import { NeedsYou } from "./needs-you.tsx";
import { Overview } from "./overview.tsx";
import { conversationHref, type Route, route } from "./route.ts";
import { Screen } from "./screen.tsx";
import { SignedOut } from "./signed-out.tsx";
import { Usage } from "./usage.tsx";

const LINKS = [
  ["overview", "#/", "Overview"],
  ["conversations", "#/conversations", "Conversations"],
  ["needs-you", "#/needs-you", "Needs you"],
  ["usage", "#/usage", "Usage"],
  ["errors", "#/errors", "Errors"],
] as const;

export function App() {
  if (access.value.state === "entering") return <p class="empty">Signing in…</p>;
  if (access.value.state === "out") return <SignedOut why={access.value.why} />;
  return (
    <>
      <button type="button" class="skip" onClick={() => document.getElementById("content")?.focus()}>
        Skip to the content
      </button>
      <header>
        <p class="brand">
          synthesis <span class="note">{role.value === "look" ? "look only" : ""}</span>
        </p>
        <Navigation />
        <button type="button" class="quiet" onClick={() => void signOut()}>
          Sign out
        </button>
      </header>
      <ConnectionNote />
      <Banner />
      <Content />
    </>
  );
}

function Navigation() {
  const { view } = route.value;
  const current = view === "conversation" || view === "screen" ? "conversations" : view;
  const waiting = permissions.value.length;
  return (
    <nav aria-label="Views">
      {LINKS.map(([name, href, label]) => (
        <a key={name} href={href} aria-current={name === current ? "page" : undefined}>
          {label}
          {name === "needs-you" && waiting > 0 && <span class="count">{waiting}</span>}
        </a>
      ))}
    </nav>
  );
}

const ConnectionNote = () => (
  <div role="status">
    {connection.value === "lost" && (
      <p class="lost">The connection to the server is lost. What you see may be old. Trying again…</p>
    )}
  </div>
);

/** Leads to the questions that wait, from wherever the reader is. */
function Banner() {
  const waiting = permissions.value.length;
  const isShown = waiting > 0 && route.value.view !== "needs-you";
  return (
    <div role="status">
      {isShown && (
        <a class="banner" href="#/needs-you">
          <strong>
            {waiting === 1 ? "Claude waits for your permission." : `Claude waits for ${waiting} permissions.`}
          </strong>{" "}
          <span>Answer</span>
        </a>
      )}
    </div>
  );
}

const TITLES = {
  overview: "Overview",
  conversations: "Conversations",
  "needs-you": "Needs you",
  usage: "Usage",
  errors: "Errors",
} as const;

function titleOf(shown: Route): string {
  if (!("key" in shown)) return TITLES[shown.view];
  const conversation = conversations.value.get(shown.key);
  return conversationName(conversation ?? { chat: null, key: shown.key });
}

/** The tab says how many questions wait. */
export const followTitle = (): void =>
  void effect(() => {
    const waiting = permissions.value.length;
    const title = access.value.state === "in" ? `${titleOf(route.value)} · synthesis` : "synthesis";
    document.title = waiting > 0 ? `(${waiting}) ${title}` : title;
  });

function Content() {
  const shown = route.value;
  const heading = useRef<HTMLHeadingElement>(null);
  const isFirst = useRef(true);
  const place = "key" in shown ? `${shown.view} ${shown.key}` : shown.view;
  // Those who cannot see that the view has changed hear its name.
  // The focus moves with the view.
  useEffect(() => {
    if (!isFirst.current) {
      heading.current?.focus();
      scrollTo(0, 0);
    }
    isFirst.current = false;
  }, [place]);
  return (
    <main id="content" tabIndex={-1}>
      <h1 ref={heading} tabIndex={-1}>
        {titleOf(shown)}
      </h1>
      {shown.view === "screen" && (
        <p>
          <a href={conversationHref(shown.key)}>Back to the conversation</a>
        </p>
      )}
      <View key={place} shown={shown} />
    </main>
  );
}

function View({ shown }: { readonly shown: Route }) {
  switch (shown.view) {
    case "overview":
      return <Overview />;
    case "conversations":
      return <Conversations />;
    case "conversation":
      return <Conversation id={shown.key} />;
    case "screen":
      return <Screen id={shown.key} />;
    case "needs-you":
      return <NeedsYou />;
    case "usage":
      return <Usage />;
    case "errors":
      return <Errors />;
  }
}
