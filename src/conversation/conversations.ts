/** All conversations by their keys. */
import { Conversation, type ConversationDeps } from "./conversation.ts";
import type { Reply } from "./reply.ts";
import type { Workspace } from "./workspace.ts";

export interface Conversations {
  /** Puts a message into the conversation of that key, begun if it is new. */
  ask(key: string, text: string, workspace: Workspace): Reply;
}

export function createConversations(deps: ConversationDeps): Conversations {
  const conversations = new Map<string, Conversation>();
  return {
    ask: (key, text, workspace) => {
      let conversation = conversations.get(key);
      if (!conversation) {
        conversation = new Conversation(key, deps);
        conversations.set(key, conversation);
      }
      return conversation.ask(text, workspace);
    },
  };
}
