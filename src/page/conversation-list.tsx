/** Conversations as a list, each a link to its view. */
import type { LiveConversation } from "../wire/live.ts";
import { conversationName, count, tokens } from "./format.ts";
import { Ago, Empty, StateBadge } from "./parts.tsx";
import { conversationHref } from "./route.ts";

export const ConversationList = ({ conversations }: { readonly conversations: readonly LiveConversation[] }) =>
  conversations.length === 0 ? (
    <Empty>There are none.</Empty>
  ) : (
    <ul class="conversations">
      {conversations.map((one) => (
        <li key={one.key}>
          <a href={conversationHref(one.key)}>
            <span class="name">{conversationName(one)}</span>
            <StateBadge state={one.state} />
            <span class="note">
              {[one.agent, one.model ?? "default model"].filter((part) => part !== null).join(" · ")}
              {one.waiting > 0 && ` · ${count(one.waiting)} waiting`}
            </span>
            <span class="note end">
              <Ago at={one.last_active_at} />
              {one.tokens_today > 0 && ` · ${tokens(one.tokens_today)} tokens today`}
            </span>
          </a>
        </li>
      ))}
    </ul>
  );
