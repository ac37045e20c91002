/** The permission questions that wait, and what became of those that were answered here. */
import { visibleLine } from "../core/visible-text.ts";
import { conversationName } from "./format.ts";
import { conversations, permissions } from "./live.ts";
import { Empty, LookOnly, StateBadge } from "./parts.tsx";
import { PermissionCard } from "./permission-card.tsx";
import { decided } from "./permission-verdict.ts";
import { conversationHref } from "./route.ts";

export function NeedsYou() {
  const waiting = permissions.value;
  return (
    <>
      <LookOnly />
      {waiting.length === 0 && <Empty>No question waits for you.</Empty>}
      {waiting.map((prompt) => (
        <PermissionCard key={prompt.id} prompt={prompt} />
      ))}
      <div role="status">
        {decided.value.map(({ id, session, tool, verdict }) => {
          const conversation = conversations.value.get(session);
          return (
            <p key={id} class="decided">
              {verdict} <strong>{visibleLine(tool)}</strong> in{" "}
              <a href={conversationHref(session)}>{conversationName(conversation ?? { chat: null, key: session })}</a>
              {conversation && <StateBadge state={conversation.state} />}
            </p>
          );
        })}
      </div>
    </>
  );
}
