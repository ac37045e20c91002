/** What a server that has just started reports to the receiver of notifications. */
import { expect, test } from "bun:test";
import { createFixture } from "../doctor/fixture.ts";
import { startReceiver } from "../support/receiver.ts";
import { startServer } from "../support/server.ts";

test("reports a damaged database, an untested Claude Code and a missing login, and the last two only once", async () => {
  await using receiver = startReceiver();
  using fixture = createFixture({ env: { SYNTHESIS_NOTIFY_URL: receiver.origin } });
  const claude = fixture.write(
    "claude",
    `#!/bin/sh\ncase "$*" in --version) echo "99.0.0 (Claude Code)";; *) echo '{"loggedIn": false}'; exit 1;; esac\n`,
    0o755,
  );
  const env = { ...fixture.env, SYNTHESIS_CLAUDE_BIN: claude };
  /** Starts a server with a damaged database, and stops it when that many notifications have arrived in all. */
  async function runWithDamage(notifications: number): Promise<void> {
    fixture.write("state/synthesis.db", "damaged".repeat(1_000));
    const server = await startServer(env);
    await server.printed(/^Claude Code: /);
    await receiver.get(notifications);
    expect(await server.stop()).toBe(0);
  }
  await runWithDamage(3);
  await runWithDamage(4);

  expect(receiver.received.map(({ json }) => json.kind)).toEqual([
    "database_quarantined",
    "login_lost",
    "untested_claude",
    "database_quarantined",
  ]);
});
