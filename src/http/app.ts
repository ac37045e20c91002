/** The Hono app: every address, the key that opens it, and the error for an address or a method that does not exist. */
import { getLogger } from "@logtape/logtape";
import { type Context, type Handler, Hono, type MiddlewareHandler } from "hono";
import { every } from "hono/combine";
import { METHODS } from "hono/router";
import { getPath } from "hono/utils/url";
import { errorResponse as messagesErrorResponse } from "../api/anthropic-messages/error-response.ts";
import { errorResponse as openAiErrorResponse } from "../api/openai-chat/error-response.ts";
import type { Engines } from "../claude/engines.ts";
import type { ProcessTokens } from "../claude/interactive/process-tokens.ts";
import type { Login } from "../claude/login.ts";
import type { Pool } from "../claude/pool/pool.ts";
import type { RunningConfig } from "../config/running-config.ts";
import type { Config } from "../config/schema.ts";
import type { ConversationRegistry } from "../conversation/registry.ts";
import { RequestError, unexpected } from "../core/errors.ts";
import type { MessageCounts } from "../core/message-counts.ts";
import type { Fleet } from "../fleet/fleet.ts";
import type { NodeTrust } from "../fleet/trust.ts";
import { createIdentify } from "../intake/identity.ts";
import type { SchemaChecker } from "../json-schema/checker.ts";
import type { AccountLimits } from "../limits/account.ts";
import type { Rejections } from "../limits/rejections.ts";
import type { LiveFeed } from "../live/feed.ts";
import type { LimitsHistory } from "../live/limits-history.ts";
import type { RecentErrors } from "../live/recent-errors.ts";
import type { Metrics } from "../metrics/metrics.ts";
import type { OneShotQueue } from "../one-shot/queue.ts";
import type { PageAccess } from "../page-access/page-access.ts";
import type { PermissionBroker } from "../permissions/broker.ts";
import { storeError } from "../store/faults.ts";
import type { FiguresStore } from "../store/figures.ts";
import type { PermissionLog } from "../store/permissions.ts";
import type { SessionStore } from "../store/sessions.ts";
import type { TurnStore } from "../store/turns.ts";
import type { UsageSums } from "../store/usage.ts";
import { canonicalPath } from "./addresses.ts";
import { createAnswer } from "./answer.ts";
import {
  requireChatKey,
  requireControlKey,
  requireControlKeyOrPage,
  requireDirect,
  requireMetricsKey,
  requireRoutes,
} from "./authorization.ts";
import { BODY_LIMIT } from "./body.ts";
import type { Callers } from "./callers.ts";
import { allowPages } from "./cors.ts";
import { inflateBody } from "./encodings.ts";
import type { Env } from "./env.ts";
import type { Forward } from "./forward.ts";
import { restoreIdleTimeout } from "./idle-timeout.ts";
import { createOwnerNode, onlyNode } from "./owner-node.ts";
import { chatRoutes } from "./routes/chat.ts";
import { configRoutes } from "./routes/config.ts";
import { healthRoutes, readinessRoutes } from "./routes/health.ts";
import { limitsRoutes } from "./routes/limits.ts";
import { liveRoutes } from "./routes/live.ts";
import { messagesRoutes } from "./routes/messages.ts";
import { metricsRoutes } from "./routes/metrics.ts";
import { modelRoutes } from "./routes/models.ts";
import { openApiRoutes } from "./routes/openapi.ts";
import { pageRoutes } from "./routes/page.ts";
import { pageCodeRoutes, pageTokenRoutes } from "./routes/page-access.ts";
import { permissionRoutes } from "./routes/permissions.ts";
import { responsesRoutes } from "./routes/responses.ts";
import { sessionRoutes } from "./routes/sessions.ts";
import { usageRoutes } from "./routes/usage.ts";

const log = getLogger(["synthesis", "http"]);

export interface AppDeps {
  readonly config: Config;
  readonly running: RunningConfig;
  readonly callers: Callers;
  readonly controlKey: string;
  readonly pages: PageAccess;
  readonly pool: Pool;
  readonly engines: Pick<Engines, "configured">;
  readonly login: Login;
  readonly limits: AccountLimits;
  readonly rejections: Rejections;
  /** Which interactive process a plugin or a hook belongs to. */
  readonly tokens: ProcessTokens;
  readonly conversations: ConversationRegistry;
  readonly sessions: SessionStore;
  /** An empty folder, created when it is needed. */
  readonly emptyFolder: string;
  readonly permissions: PermissionBroker;
  readonly permissionLog: PermissionLog;
  readonly oneShots: OneShotQueue;
  readonly turns: TurnStore;
  readonly figures: FiguresStore;
  readonly usage: UsageSums;
  readonly checker: SchemaChecker;
  readonly metrics: Metrics;
  readonly metricsKey: string;
  /** Counts what Claude Code sends to the server. */
  readonly messages: MessageCounts;
  readonly limitsHistory: LimitsHistory;
  readonly errors: RecentErrors;
  readonly live: LiveFeed;
  /** What a node of a fleet has more; absent for any other server. */
  readonly node?: NodeParts | undefined;
}

export interface NodeParts {
  readonly fleet: Fleet;
  /** Gives all conversations back, and ends the lease. */
  close(): Promise<void>;
  readonly forward: Forward;
  readonly trust: NodeTrust;
  readonly listen: { readonly host: string; readonly port: number };
}

/** @param pageAddresses base URLs at which the page can be opened */
export function createApp(deps: AppDeps, pageAddresses: () => readonly string[] = () => []): Hono<Env> {
  const { config, conversations, pages } = deps;
  const chatKey = every(requireChatKey(deps.callers), requireRoutes("chat"));
  const controlKey = every(requireControlKey(deps.controlKey), requireRoutes("control"));
  const metricsKey = every(requireMetricsKey(deps.metricsKey, deps.controlKey), requireRoutes("control"));
  const controlKeyOrPage = every(requireControlKeyOrPage(deps.controlKey, pages), requireRoutes("control"));
  const ownControlKey = every(requireDirect, controlKey);
  const ownPages = every(requireDirect, requireRoutes("control"));
  const { node } = deps;
  const ownerNode = node ? createOwnerNode(node.fleet, node.forward) : onlyNode;
  const { keepBody } = ownerNode;
  const identify = createIdentify({ ...deps, findAlias: node?.fleet.keyWithAffinity });
  const answer = createAnswer({ ...deps, ownerNode });
  const chat = chatRoutes(identify, answer);
  const app = new Hono<Env>({ getPath: (request) => canonicalPath(getPath(request)) });
  const notFound = notFoundIn(app, deps.metrics);

  return (
    app
      .use(restoringIdleTimeout, allowPages(config.allowedOrigins))
      .route("/health", withoutKey(healthRoutes(deps), notFound))
      .route("/ready", withoutKey(readinessRoutes(conversations, node?.fleet), notFound))
      .route(
        "/openapi.json",
        withoutKey(
          openApiRoutes(() => app.routes),
          notFound,
        ),
      )
      .route("/v1/chat/completions", withKey(chatKey, chat, notFound, keepBody))
      .route("/chat/completions", withKey(chatKey, chat, notFound, keepBody))
      .route(
        "/v1/responses",
        withKey(chatKey, responsesRoutes({ ...deps, ownerNode }, identify, answer), notFound, keepBody),
      )
      .route("/v1/messages", withKey(chatKey, messagesRoutes(identify, answer), notFound, keepBody))
      .route("/v1/models", withKey(chatKey, modelRoutes, notFound))
      .route("/v1/limits", withKey(chatKey, limitsRoutes(deps.limits), notFound))
      .route("/metrics", withKey(metricsKey, metricsRoutes(deps.metrics), notFound))
      .route(
        "/v1/sessions",
        withKey(
          controlKeyOrPage,
          sessionRoutes({ ...deps, ownerNode, resting: node?.fleet.resting }),
          notFound,
          keepBody,
        ),
      )
      .route("/v1/permissions", withKey(controlKeyOrPage, permissionRoutes({ ...deps, ownerNode }), notFound, keepBody))
      .route(
        "/v1/usage",
        withKey(controlKeyOrPage, usageRoutes({ ...deps, usageOfOthers: node?.fleet.usageOfOthers }), notFound),
      )
      .route("/v1/live", withKey(controlKeyOrPage, liveRoutes(deps.live), notFound))
      .route("/v1/config", withKey(controlKey, configRoutes(deps.running), notFound))
      .route("/v1/page/codes", withKey(ownControlKey, pageCodeRoutes(pages, pageAddresses), notFound))
      .route("/v1/page/tokens", withoutKey(pageTokenRoutes(pages), notFound, ownPages))
      .route("/page", withoutKey(pageRoutes(), notFound, ownPages))
      // `serve.ts` answers POST /hooks itself. Only another method gets here.
      .all("/hooks", chatKey, () => methodNotAllowed("/hooks", ["POST"], deps.metrics))
      .route("/", withKey(chatKey, new Hono<Env>(), notFound))
      .onError((error, c) => {
        const known = error instanceof RequestError ? error : storeError(error);
        if (error !== known) log.error("unexpected error: {error}", { method: c.req.method, path: c.req.path, error });
        const reported = known ?? unexpected();
        // That of a response is counted when it arises, since a stream may have begun then.
        if (reported !== c.var.response?.error) {
          deps.metrics.noteError(reported.code);
          if (c.var.caller) deps.errors.note(reported, null);
        }
        return errorResponse(c.req.path, reported);
      })
  );
}

/** Routes that need no key. @param before runs before each of them */
const withoutKey = (
  routes: Hono<Env>,
  notFound: Handler<Env>,
  before: MiddlewareHandler<Env> = (_c, next) => next(),
): Hono<Env> => new Hono<Env>().use(before).route("/", routes).all("/", notFound);

/**
 * Routes behind a key. Without it a request gets a 401, whatever its method and the rest of its path, and its body is
 * not read.
 */
const withKey = (
  key: MiddlewareHandler,
  routes: Hono<Env>,
  notFound: Handler<Env>,
  before: MiddlewareHandler<Env> = (_c, next) => next(),
): Hono<Env> =>
  new Hono<Env>().use(key, rejectLargeBody, inflateBody(BODY_LIMIT), before).route("/", routes).all("*", notFound);

const rejectLargeBody: MiddlewareHandler = (c, next) => {
  if (Number(c.req.header("content-length")) > BODY_LIMIT.maxBytes) throw BODY_LIMIT.tooLarge();
  return next();
};

/** Restores the idle timeout, which a handler may have disabled. A stream restores it itself when it ends. */
const restoringIdleTimeout: MiddlewareHandler<Env> = async (c, next) => {
  await next();
  if (!c.res.headers.get("content-type")?.startsWith("text/event-stream")) restoreIdleTimeout(c);
};

/** Answers what no route has answered: 405 for an address that takes other methods, else 404. */
const notFoundIn =
  (app: Hono<Env>, metrics: Metrics) =>
  (c: Context<Env>): Response => {
    const { method, path } = c.req;
    const allowed = METHODS.map((name) => name.toUpperCase()).filter((name) =>
      app.router.match(name, path)[0].some(([[, route]]) => route.method === name),
    );
    if (allowed.length > 0) return methodNotAllowed(path, allowed, metrics);
    const [, advice = ADDRESSES] = NOT_SERVED.find(([one]) => one.test(path)) ?? [];
    throw new RequestError("unknown_url", `There is no ${method} ${path} here. ${advice}`);
  };

function methodNotAllowed(path: string, allowed: readonly string[], metrics: Metrics): Response {
  metrics.noteError("method_not_allowed");
  const methods = allowed.join(", ");
  const response = errorResponse(path, new RequestError("method_not_allowed", `${path} takes only ${methods}.`));
  response.headers.set("allow", methods);
  return response;
}

/** What else there is in OpenAI's API, and what to use instead. */
const NOT_SERVED: readonly [path: RegExp, advice: string][] = [
  [
    /^\/v1\/embeddings/,
    "This server answers chats with Claude Code, and Claude makes no embeddings. Use another provider for them; in " +
      "OpenClaw, set agents.defaults.memorySearch.provider.",
  ],
  [/^\/v1\/completions/, "Claude Code answers chats: use POST /v1/chat/completions."],
  [
    /^\/v1\/audio/,
    "This server answers chats with Claude Code, which takes and makes no audio. Use another provider for it.",
  ],
  [
    /^\/v1\/images/,
    "This server answers chats with Claude Code, which makes no images. Use another provider for them. Claude sees " +
      "images that are sent with a message to POST /v1/chat/completions.",
  ],
];

/** An error in the shape of the API that the path belongs to. */
const errorResponse = (path: string, error: RequestError): Response =>
  /^\/v1\/messages(?:\/|$)/.test(canonicalPath(path)) ? messagesErrorResponse(error) : openAiErrorResponse(error);

/** The end of an error for a request with a wrong path. */
export const ADDRESSES =
  "The base URL ends in /v1. Chats are POST /v1/chat/completions, models are GET /v1/models. docs/http-api.md lists " +
  "all addresses.";
