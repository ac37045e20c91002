/** What `synthesis doctor` says of the receiver of notifications, and that it keeps the address to itself. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import type { NotifyFormat } from "../../src/config/schema.ts";
import { notificationChecks, testNotification } from "../../src/doctor/notifications.ts";
import { type Receiver, startReceiver } from "../support/receiver.ts";

let receiver: Receiver;
beforeEach(() => {
  receiver = startReceiver();
});
afterEach(() => receiver.stop());

const config = (notifyUrl: string, notifyContent = false, notifyFormat: NotifyFormat = "json") => ({
  notifyUrl,
  notifyContent,
  notifyFormat,
});
/** The receiver, at an address with secrets. */
const secretly = () => config(`${receiver.origin.replace("//", "//ann:password@")}/SECRET?key=SECRET`);

test("says nothing, and sends nothing, when no receiver is configured", async () => {
  expect([notificationChecks(config("")), await testNotification(config(""))]).toEqual([[], []]);
});

test.each([
  ["https://ntfy.sh/SECRET", "notifications.ok", "https://ntfy.sh"],
  ["http://127.0.0.1:8080/SECRET", "notifications.ok", "http://127.0.0.1:8080"],
  ["http://ann:SECRET@example.com/SECRET", "notifications.unencrypted", "http://example.com"],
])("shows of %s only the origin", (url, id, shown) => {
  const checks = notificationChecks(config(url));

  expect(checks).toEqual([expect.objectContaining({ id, found: expect.stringContaining(`to ${shown}, without`) })]);
  expect(JSON.stringify(checks)).not.toMatch(/SECRET|ann/);
});

test("says whether notifications have what is asked", () => {
  expect(notificationChecks(config("https://ntfy.sh/topic", true))[0]?.found).toEndWith("with what is asked");
});

test("sends one notification that says it is a test", async () => {
  const checks = await testNotification(secretly());

  expect(checks).toEqual([expect.objectContaining({ id: "notifications.ok", result: "ok" })]);
  expect(receiver.received.map(({ path, json }) => [path, json.kind])).toEqual([["/SECRET", "test"]]);
});

test.each([
  [404, "notifications.refused"],
  [503, "notifications.unavailable"],
])("warns of a receiver that answers with status %p", async (status, id) => {
  receiver.answer(() => new Response(null, { status }));
  const checks = await testNotification(secretly());

  expect(checks).toEqual([
    expect.objectContaining({
      id,
      result: "warning",
      found: `the receiver answers with status ${status}`,
      advice: expect.stringContaining("SYNTHESIS_NOTIFY_URL"),
    }),
  ]);
  expect(JSON.stringify(checks)).not.toMatch(/SECRET|password/);
});
