/**
 * The OpenClaw plugin of synthesis. OpenClaw asks a provider with its own key and nothing else; this adds,
 * as headers of each request, whose conversation it is and where its agent works.
 *
 * It runs inside OpenClaw, so it may import nothing but OpenClaw's own kit.
 */
import { definePluginEntry } from "openclaw/plugin-sdk/plugin-entry";

const PROVIDER = "synthesis";
/** Sessions remembered; each is told anew with its next call, so forgetting one costs nothing. */
const MAX_SESSIONS = 1000;

export default definePluginEntry({
  id: PROVIDER,
  name: "synthesis",
  description: "Tells synthesis, with each request, which conversation, agent and workspace it is for.",
  register(api) {
    /** By OpenClaw's session id, the only name that a transport knows. */
    const keys = new Map();
    const people = new Map();

    // Comes just before the transport is asked, with no message text, so it needs no permission.
    api.on("model_call_started", ({ sessionId, sessionKey }) => {
      if (sessionId && sessionKey) remember(keys, sessionId, sessionKey);
    });
    // OpenClaw lets this one in only where the user has set `hooks.allowConversationAccess` for us. Of the
    // conversation itself nothing is read.
    api.on("before_prompt_build", (_event, { sessionId, chatId, channel, messageProvider, senderId }) => {
      if (!sessionId) return;
      remember(people, sessionId, {
        "x-openclaw-chat-id": chatId,
        "x-openclaw-channel": channel ?? messageProvider,
        "x-openclaw-sender-id": senderId,
      });
    });

    api.registerProvider({
      id: PROVIDER,
      label: "synthesis",
      auth: [],
      wrapStreamFn: ({ agentId, workspaceDir, streamFn }) =>
        withHeaders(streamFn, (options) => ({
          "x-openclaw-agent-id": agentId,
          "x-openclaw-workspace": workspaceDir,
          // A summary comes by the way of the turns, under the key of the conversation that it sums up.
          "x-openclaw-kind": options?.requestId?.includes(":compaction:") ? "compaction" : undefined,
        })),
      // What OpenClaw asks for itself, such as a title: no conversation's, and no turn.
      wrapSimpleCompletionStreamFn: ({ agentId, streamFn }) =>
        withHeaders(streamFn, () => ({ "x-openclaw-agent-id": agentId, "x-openclaw-kind": "simple-completion" })),
      resolveTransportTurnState: ({ sessionId }) =>
        sessionId
          ? { headers: safe({ "x-openclaw-session-key": keys.get(sessionId), ...people.get(sessionId) }) }
          : undefined,
    });
  },
});

function withHeaders(streamFn, headersFor) {
  if (!streamFn) return undefined;
  return (model, context, options) =>
    streamFn(model, context, { ...options, headers: { ...options?.headers, ...safe(headersFor(options)) } });
}

/** Those that have a value, as a header can carry it: percent-encoded when it is not plain ASCII. */
function safe(headers) {
  const said = Object.entries(headers).filter(([, value]) => value !== undefined && value !== null && value !== "");
  return Object.fromEntries(said.map(([name, value]) => [name, encoded(String(value))]));
}

// A percent sign is encoded too, else nobody could tell which values are.
const encoded = (value) =>
  /^[\x21-\x24\x26-\x7e]([\x20-\x24\x26-\x7e]*[\x21-\x24\x26-\x7e])?$/.test(value) ? value : encodeURIComponent(value);

function remember(map, key, value) {
  map.delete(key);
  map.set(key, value);
  if (map.size > MAX_SESSIONS) map.delete(map.keys().next().value);
}
