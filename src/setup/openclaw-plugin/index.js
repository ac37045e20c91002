/**
 * The OpenClaw plugin of synthesis. Without it, OpenClaw sends a provider only its key. The plugin adds headers to
 * each request that name the conversation and the agent's workspace.
 *
 * It runs inside OpenClaw and can import nothing but OpenClaw's plugin SDK.
 */
import { definePluginEntry } from "openclaw/plugin-sdk/plugin-entry";

const PROVIDER = "synthesis";
/** How many sessions are remembered. Each model call sends the data of its session, so old ones can be dropped. */
const MAX_SESSIONS = 1000;
/** The names of the plan's windows, as OpenClaw labels those of other providers. */
const LABELS = { five_hour: "5h", seven_day: "Week" };

export default definePluginEntry({
  id: PROVIDER,
  name: "synthesis",
  description: "Names the conversation, the agent and the workspace in each request to synthesis.",
  register(api) {
    // Both maps use OpenClaw's session id, because a transport knows no other name.
    const sessionKeys = new Map();
    const senders = new Map();

    // Emitted just before the transport is used. The event contains no message text, and needs no permission.
    api.on("model_call_started", ({ sessionId, sessionKey }) => {
      if (sessionId && sessionKey) remember(sessionKeys, sessionId, sessionKey);
    });
    // OpenClaw emits this event only if the user has set `hooks.allowConversationAccess` for this plugin. The plugin
    // does not read the conversation itself.
    api.on("before_prompt_build", (_event, { sessionId, chatId, channel, messageProvider, senderId }) => {
      if (!sessionId) return;
      remember(senders, sessionId, {
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
          // OpenClaw requests the summary of a conversation like a turn, with that conversation's key.
          "x-openclaw-kind": options?.requestId?.includes(":compaction:") ? "compaction" : undefined,
        })),
      // OpenClaw's own requests, such as for a title, belong to no conversation.
      wrapSimpleCompletionStreamFn: ({ agentId, streamFn }) =>
        withHeaders(streamFn, () => ({ "x-openclaw-agent-id": agentId, "x-openclaw-kind": "simple-completion" })),
      // OpenClaw shows how much of the plan is used where it shows the usage of other providers.
      resolveUsageAuth: ({ resolveApiKeyFromConfigAndStore: resolveKey }) => {
        const token = resolveKey();
        return token ? { token } : null;
      },
      fetchUsageSnapshot,
      resolveTransportTurnState: ({ sessionId }) =>
        sessionId
          ? { headers: encode({ "x-openclaw-session-key": sessionKeys.get(sessionId), ...senders.get(sessionId) }) }
          : undefined,
    });
  },
});

/** What OpenClaw shows of the plan. It knows no unknown figure, so a window without one is left out. */
async function fetchUsageSnapshot({ config, provider, token, fetchFn, signal }) {
  const baseUrl = config.models?.providers?.[PROVIDER]?.baseUrl;
  if (!baseUrl) return null;
  const response = await fetchFn(`${baseUrl.replace(/\/+$/, "")}/limits`, {
    headers: { authorization: `Bearer ${token}` },
    signal,
  });
  const snapshot = { provider, displayName: "Claude (synthesis)", windows: [] };
  if (!response.ok) return { ...snapshot, error: `HTTP ${response.status}` };
  const { data } = await response.json();
  const windows = data
    .filter(({ used_percent: used }) => used !== null)
    .map(({ name, used_percent: usedPercent, resets_at: resetAt }) => ({
      label: LABELS[name] ?? name.replaceAll("_", " "),
      usedPercent,
      ...(resetAt === null ? {} : { resetAt }),
    }));
  return { ...snapshot, windows };
}

function withHeaders(streamFn, headersFor) {
  if (!streamFn) return undefined;
  return (model, context, options) =>
    streamFn(model, context, { ...options, headers: { ...options?.headers, ...encode(headersFor(options)) } });
}

/** The headers that have a value. */
function encode(headers) {
  const present = Object.entries(headers).filter(([, value]) => value !== undefined && value !== null && value !== "");
  return Object.fromEntries(present.map(([name, value]) => [name, encodeValue(String(value))]));
}

/** Percent-encodes a value that is not printable ASCII, or that contains a percent sign and would be decoded. */
const encodeValue = (value) =>
  /^[\x21-\x24\x26-\x7e]([\x20-\x24\x26-\x7e]*[\x21-\x24\x26-\x7e])?$/.test(value) ? value : encodeURIComponent(value);

function remember(map, key, value) {
  map.delete(key);
  map.set(key, value);
  if (map.size > MAX_SESSIONS) map.delete(map.keys().next().value);
}
