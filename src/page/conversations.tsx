/** All conversations, by state and by what the reader types. */
import { useSignal } from "@preact/signals";
import type { LiveConversation } from "../wire/live.ts";
import { ConversationList } from "./conversation-list.tsx";
import { latest } from "./live.ts";

const STATES = ["all", "running", "needs_you", "idle", "cold"] as const;
const LABELS = { all: "All", running: "Running", needs_you: "Needs you", idle: "Idle", cold: "Cold" };

export function Conversations() {
  const query = useSignal("");
  const state = useSignal<(typeof STATES)[number]>("all");
  const words = query.value.toLowerCase().split(/\s+/);
  const found = latest.value.filter((one) => words.every((word) => textOf(one).includes(word)));
  const shown = state.value === "all" ? found : found.filter((one) => one.state === state.value);
  return (
    <>
      <search class="filters">
        <label>
          Search
          <input
            type="search"
            placeholder="name, agent, model or folder"
            value={query.value}
            onInput={({ currentTarget }) => {
              query.value = currentTarget.value;
            }}
          />
        </label>
        <fieldset>
          <legend>State</legend>
          {STATES.map((one) => (
            <label key={one} class="choice">
              <input
                type="radio"
                name="state"
                checked={state.value === one}
                onChange={() => {
                  state.value = one;
                }}
              />
              <span>
                {LABELS[one]}{" "}
                <small>{one === "all" ? found.length : found.filter((c) => c.state === one).length}</small>
              </span>
            </label>
          ))}
        </fieldset>
      </search>
      <p class="note" role="status">
        {shown.length === 1 ? "1 conversation" : `${shown.length} conversations`}
      </p>
      <ConversationList conversations={shown} />
    </>
  );
}

const textOf = ({ key, agent, chat, model, workspace }: LiveConversation): string =>
  [key, agent, chat, model, workspace].join(" ").toLowerCase();
