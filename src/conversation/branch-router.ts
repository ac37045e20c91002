/** Finds the branch of a conversation that a request belongs to, from the live conversations and the store. */
import { type Identity, isEphemeral } from "../intake/identity.ts";
import type { TurnRequest } from "../intake/turn-request.ts";
import type { SessionStore } from "../store/sessions.ts";
import type { TurnStore } from "../store/turns.ts";
import { type Branch, branchKey, chooseBranch } from "./branches.ts";
import type { Conversation } from "./conversation.ts";
import { deliveredTurn } from "./delivered-turns.ts";

type LiveConversation = Pick<Conversation, "newestModel" | "pendingFingerprints" | "awaits">;

export interface BranchRouter {
  /** The identity of the conversation itself, or of another model's branch. */
  route(identity: Identity, request: TurnRequest): Identity;
}

/** @param live the conversation with this key, if it is in memory */
export function createBranchRouter(
  sessions: SessionStore,
  turns: TurnStore,
  live: (key: string) => LiveConversation | undefined,
): BranchRouter {
  /** The model of a conversation's newest request; undefined when there is no such conversation. */
  function modelOf(key: string): string | null | undefined {
    const newest = live(key)?.newestModel;
    return newest === undefined ? sessions.find(key)?.model : newest;
  }

  /** @param claudeSession undefined for a conversation that is not in the store yet */
  function asBranch({ key, claudeSession }: { readonly key: string; readonly claudeSession?: string }): Branch {
    return {
      key,
      model: modelOf(key) ?? null,
      pendingFingerprints: live(key)?.pendingFingerprints ?? [],
      delivered: () => (claudeSession === undefined ? [] : turns.delivered(claudeSession).map(deliveredTurn)),
    };
  }

  return {
    route: (identity, request) => {
      const { key, source } = identity;
      // A conversation of responses is one line of messages, whatever the model.
      if (request.fromOpenClaw || isEphemeral(source) || source === "response") return identity;
      const model = modelOf(key);
      if (model === undefined) return identity;
      const others = sessions.branches(key);
      if (model === request.model && others.length === 0) return identity;
      const branches = [asBranch(sessions.find(key) ?? { key }), ...others.map(asBranch)];
      const waiting = branches.find((branch) => live(branch.key)?.awaits(request));
      const chosen = waiting ?? chooseBranch(branches, request);
      if (chosen?.key === key) return identity;
      // A request that names OpenClaw's own session id belongs to the conversation itself, not to a branch.
      return { ...identity, key: chosen?.key ?? branchKey(key, request.model), affinity: null, branchOf: key };
    },
  };
}
