/** Checks where notifications are posted. Only the origin of the address is shown, because the rest may be a secret. */
import type { Config } from "../config/schema.ts";
import { notificationOf } from "../notify/notification.ts";
import { isLoopback, send } from "../notify/send.ts";
import { type Check, subject } from "./check.ts";

const notifications = subject("notifications");
/** How long the receiver may take to accept the test, in ms. */
const TEST_MS = 10_000;

type NotifyConfig = Pick<Config, "notifyUrl" | "notifyFormat" | "notifyContent">;

/** No check when none are configured. */
export function notificationChecks({ notifyUrl, notifyFormat, notifyContent }: NotifyConfig): Check[] {
  if (!notifyUrl) return [];
  const { origin, protocol } = new URL(notifyUrl);
  const found = `${notifyFormat}, to ${origin}, ${notifyContent ? "with" : "without"} what is asked`;
  if (protocol === "https:" || isLoopback(notifyUrl)) return [notifications.ok(found)];
  return [
    notifications.warning(
      "unencrypted",
      `${found}, unencrypted`,
      "Everyone on the way can read them, and the address. Use https in SYNTHESIS_NOTIFY_URL if the receiver offers it.",
    ),
  ];
}

/** Sends a notification that says it is a test. No check when none are configured. */
export async function testNotification({ notifyUrl: url, notifyFormat: format }: NotifyConfig): Promise<Check[]> {
  if (!url) return [];
  const test = notificationOf(crypto.randomUUID(), Date.now(), { kind: "test" });
  const result = await send({ url, format }, test, AbortSignal.timeout(TEST_MS));
  if (result.type === "delivered") return [notifications.ok("the receiver accepted a test")];
  return [
    notifications.warning(
      result.type,
      `the receiver ${result.why}`,
      "Check SYNTHESIS_NOTIFY_URL and SYNTHESIS_NOTIFY_FORMAT, and that the receiver runs.",
    ),
  ];
}
