/**
 * Creates a home folder for a claude under test: with a made-up API key, and as if the first start were done.
 * Its configuration file has the feature flag for channels, as on a machine that has been online.
 */
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const FAKE_API_KEY = "sk-ant-test-0000000000000000000000000000000000";

export interface ClaudeHome {
  /** The folder that contains the others; its real path. */
  readonly base: string;
  readonly home: string;
  /** Trusted by this claude, unless `trusted` is false. */
  readonly workspace: string;
  /** The environment with which a claude uses this home and the mock API. */
  readonly env: Record<string, string>;
  remove(): void;
}

export interface HomeOptions {
  /** The address of the mock API. */
  readonly api: string;
  /** Claude trusts the workspace already. */
  readonly trusted?: boolean;
  /** The environment has an API key, so claude is logged in. */
  readonly loggedIn?: boolean;
  /** Claude is logged in with a claude.ai plan, by a token of it, instead of an API key. */
  readonly plan?: boolean;
  /** The user has approved the API key in the environment. */
  readonly keyApproved?: boolean;
  /** Claude offers channels. */
  readonly channels?: boolean;
  /** How often claude retries a failed model request: as the server configures it, or once. */
  readonly retries?: "default" | "once";
}

export function createClaudeHome({
  api,
  trusted = true,
  loggedIn = true,
  plan = false,
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
      ...(plan
        ? { CLAUDE_CODE_OAUTH_TOKEN: "sk-ant-oat01-test" }
        : loggedIn
          ? { ANTHROPIC_API_KEY: FAKE_API_KEY }
          : {}),
    },
    remove: () => rmSync(base, { recursive: true, force: true }),
  };
}
