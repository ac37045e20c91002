/** A mock of the Telegram API for OpenClaw's Telegram channel: tests write as people and read what the bot sends. */

export interface Telegram extends AsyncDisposable {
  /** The value of `channels.telegram` in OpenClaw's configuration. */
  readonly config: object;
  /** Sends a message to the bot. @param chat the direct chat by default; the id of a group is negative */
  write(text: string, from: Person, chat?: number, replyTo?: object): void;
  /** The next message of the bot in this chat, in HTML. */
  next(chat: number): Promise<BotMessage>;
}

interface Person {
  readonly id: number;
  readonly first_name: string;
}

interface BotMessage {
  readonly text: string;
  /** The message as Telegram has it, to reply to. */
  readonly message: object;
}

const TOKEN = "123456:a-token-for-tests";
const ME = { id: 123456, is_bot: true, first_name: "Bot", username: "test_bot" };

export function startTelegram(): Telegram {
  const updates: { update_id: number; message: object }[] = [];
  const sent: (BotMessage & { chat: number })[] = [];
  let update = Promise.withResolvers<void>();
  let arrival = Promise.withResolvers<void>();
  let messages = 0;

  const newMessage = (chat: number, more: object) => ({
    message_id: ++messages,
    date: Math.floor(Date.now() / 1000),
    chat: chat < 0 ? { id: chat, type: "supergroup", title: "All of us" } : { id: chat, type: "private" },
    ...more,
  });

  const methods: Record<string, (body: Record<string, unknown>) => unknown> = {
    getMe: () => ({ ...ME, can_join_groups: true, can_read_all_group_messages: true }),
    getUpdates: async ({ offset = 0, timeout = 0 }) => {
      const fresh = () => updates.filter(({ update_id }) => update_id >= Number(offset));
      const timedOut = Promise.withResolvers<void>();
      const timer = setTimeout(timedOut.resolve, Number(timeout) * 1000);
      if (fresh().length === 0) await Promise.race([update.promise, timedOut.promise]);
      clearTimeout(timer);
      return fresh();
    },
    getWebhookInfo: () => ({ url: "", has_custom_certificate: false, pending_update_count: 0 }),
    sendMessage: ({ chat_id, text }) => {
      const message = newMessage(Number(chat_id), { from: ME, text });
      sent.push({ chat: Number(chat_id), text: String(text), message });
      arrival.resolve();
      arrival = Promise.withResolvers();
      return message;
    },
  };

  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    idleTimeout: 0,
    fetch: async (request) => {
      const url = new URL(request.url);
      const method = /^\/bot[^/]+\/(\w+)$/.exec(url.pathname)?.[1] ?? "";
      const text = await request.text();
      const body = { ...Object.fromEntries(url.searchParams), ...(text ? JSON.parse(text) : {}) };
      // Methods without an effect on messages (commands, typing, reactions) succeed.
      return Response.json({ ok: true, result: (await methods[method]?.(body)) ?? true });
    },
  });

  return {
    config: {
      enabled: true,
      botToken: TOKEN,
      apiRoot: `http://127.0.0.1:${server.port}`,
      dmPolicy: "open",
      allowFrom: ["*"],
      groupPolicy: "open",
      groups: { "*": { requireMention: false } },
      streaming: { mode: "off" },
    },
    write: (text, from, chat = from.id, replyTo) => {
      const reply = replyTo ? { reply_to_message: replyTo } : {};
      const message = newMessage(chat, { from: { ...from, is_bot: false }, text, ...reply });
      updates.push({ update_id: updates.length + 1, message });
      update.resolve();
      update = Promise.withResolvers();
    },
    next: async (chat) => {
      for (;;) {
        const at = sent.findIndex((one) => one.chat === chat);
        const [found] = at < 0 ? [] : sent.splice(at, 1);
        if (found) return found;
        await arrival.promise;
      }
    },
    [Symbol.asyncDispose]: () => server.stop(true),
  };
}
