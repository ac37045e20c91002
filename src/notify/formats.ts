/** The request body and headers of a notification in each format. */
import type { NotifyFormat } from "../config/schema.ts";
import type { Notification } from "./notification.ts";

interface Body {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** An ntfy server makes an attachment of a longer message. In bytes. */
const MAX_NTFY_BYTES = 4_000;

/** How ntfy shows each kind: its priority from 1 to 5, and the short name of an emoji. */
const NTFY: Record<Notification["kind"], { readonly priority: number; readonly tag: string }> = {
  permission_prompt: { priority: 4, tag: "question" },
  login_lost: { priority: 4, tag: "key" },
  login_restored: { priority: 3, tag: "white_check_mark" },
  plan_window: { priority: 4, tag: "hourglass" },
  channels_refused: { priority: 3, tag: "warning" },
  database_quarantined: { priority: 5, tag: "rotating_light" },
  untested_claude: { priority: 2, tag: "package" },
  test: { priority: 3, tag: "wave" },
};

const FORMATS: Record<NotifyFormat, (notification: Notification) => Body> = {
  json: (notification) => json({ source: "synthesis", ...notification }),
  // Without `mrkdwn: false` Slack would show the asterisks of a command as bold text.
  slack: ({ title, text }) => json({ text: escapeSlack(`${title}\n${text}`), mrkdwn: false }),
  ntfy: ({ kind, title, text }) => ({
    headers: {
      "content-type": "text/plain; charset=utf-8",
      // A header takes no other characters.
      title: `synthesis: ${title}`.replace(/[^\x20-\x7e]/g, "?"),
      priority: String(NTFY[kind].priority),
      tags: NTFY[kind].tag,
    },
    body: firstBytes(text, MAX_NTFY_BYTES),
  }),
};

export const bodyOf = (format: NotifyFormat, notification: Notification): Body => FORMATS[format](notification);

const json = (value: object): Body => ({
  headers: { "content-type": "application/json" },
  body: JSON.stringify(value),
});

/** Slack reads links, mentions and entities in these three characters. */
const escapeSlack = (text: string): string =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

/** The beginning of a text, without a broken character at its end. */
function firstBytes(text: string, most: number): string {
  const bytes = new TextEncoder().encode(text);
  return bytes.length <= most ? text : new TextDecoder().decode(bytes.subarray(0, most), { stream: true });
}
