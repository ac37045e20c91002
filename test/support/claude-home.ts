/**
 * A home for a claude in a test: it belongs to nobody, knows a made-up key, and has been through the
 * first start. The channel switch is what a machine that has been online would have cached.
 */
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const FAKE_API_KEY = "sk-ant-test-0000000000000000000000000000000000";

export interface ClaudeHome {
  /** A fresh folder for everything below; real path. */
  readonly base: string;
  readonly home: string;
  /** Trusted by this claude unless said otherwise. */
  readonly workspace: string;
  /** The variables a claude needs to live here and talk to the mock. */
  readonly env: Record<string, string>;
  remove(): void;
}

export interface HomeOptions {
  /** The mock API's address. */
  readonly api: string;
  /** The workspace has been trusted before. */
  readonly trusted?: boolean;
  /** There is a key, so claude counts as logged in. */
  readonly loggedIn?: boolean;
  /** The key in the environment has been approved before. */
  readonly keyApproved?: boolean;
  /** The channel switch is on. */
  readonly channels?: boolean;
  /** claude makes failed model requests again as often as it is started to, and not just once. */
  readonly retries?: "default" | "once";
}

export function createClaudeHome({
  api,
  trusted = true,
  loggedIn = true,
  keyApproved = true,
  channels = true,
  retries = "once",
}: HomeOptions): ClaudeHome {
  const base = realpathSync(mkdtempSync(join(tmpdir(), "synthesis-test-")));
  const home = join(base, "home");
  const workspace = join(base, "workspace");
  mkdirSync(home);
  mkdirSync(workspace);
  writeFileSync(
    join(home, ".claude.json"),
    JSON.stringify({
      hasCompletedOnboarding: true,
      theme: "dark",
      customApiKeyResponses: { approved: keyApproved ? [FAKE_API_KEY.slice(-20)] : [], rejected: [] },
      projects: trusted ? { [workspace]: { hasTrustDialogAccepted: true } } : {},
      cachedGrowthBookFeatures: channels ? { tengu_harbor: true, tengu_harbor_permissions: true } : {},
    }),
  );
  return {
    base,
    home,
    workspace,
    env: {
      PATH: process.env.PATH ?? "",
      HOME: home,
      ANTHROPIC_BASE_URL: api,
      ...(retries === "once" ? { CLAUDE_CODE_MAX_RETRIES: "1" } : {}),
      ...(loggedIn ? { ANTHROPIC_API_KEY: FAKE_API_KEY } : {}),
    },
    remove: () => rmSync(base, { recursive: true, force: true }),
  };
}
