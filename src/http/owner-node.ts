/** Serves a request on the node that has its conversation. A server that is no node of a fleet has all of them. */
import { getLogger } from "@logtape/logtape";
import type { Context, MiddlewareHandler } from "hono";
import type { ZodType } from "zod";
import { type Clock, systemClock } from "../core/clock.ts";
import { RequestError } from "../core/errors.ts";
import type { Fleet } from "../fleet/fleet.ts";
import { BODY_LIMIT, readBytes } from "./body.ts";
import type { Env } from "./env.ts";
import type { Forward } from "./forward.ts";

const log = getLogger(["synthesis", "fleet"]);

/**
 * How long a node that is asked together with the others may take to begin its answer, in ms. One that stands still must
 * not delay what the others know.
 */
const TOGETHER_MS = 5_000;

/** The owner may change between two looks at Postgres, but not often. */
const ATTEMPTS = 3;

interface OthersAnswers<Body> {
  readonly answers: Body[];
  readonly missing?: string[];
}

export interface OwnerNode {
  /** Keeps the body of a request, so that it can be sent on after it was read. */
  readonly keepBody: MiddlewareHandler<Env>;
  /**
   * Serves a request about a conversation here, or sends it to the node that has the conversation.
   * @param root the key of the conversation, without its branches
   * @param serve may keep the conversation here for longer than until it returns: `keep` returns what ends that
   */
  at(c: Context<Env>, root: string, serve: (keep: () => () => void) => Response | Promise<Response>): Promise<Response>;
  /** The same for a request that names a conversation, or a branch, by its key. It is served here if the key is unknown. */
  ofKey(c: Context<Env>, key: string, serve: () => Response | Promise<Response>): Promise<Response>;
  /** The same for a request that names a turn. It is served here if the turn is unknown. */
  ofTurn(c: Context<Env>, turn: string | null, serve: () => Response | Promise<Response>): Promise<Response>;
  /** The same for a request with results of calls, by their ids. It is served here if no other node waits for them. */
  ofCalls(c: Context<Env>, ids: readonly string[], serve: () => Promise<Response>): Promise<Response>;
  /**
   * Asks all other nodes the same.
   * @param body what a good answer has
   * @returns the bodies of the answers, and the names of the nodes that gave no good answer in time, if there are any
   */
  others<Body>(c: Context<Env>, body: ZodType<Body>): Promise<OthersAnswers<Body>>;
  /**
   * The answer of the one other node that can serve the request, as soon as it is there.
   * @returns null when all others have refused it
   * @throws RequestError (`node_unavailable`) when the others have refused it, and one did not answer
   */
  elsewhere(c: Context<Env>): Promise<Response | null>;
}

export function createOwnerNode(fleet: Fleet, forward: Forward, clock: Clock = systemClock): OwnerNode {
  const body = async (c: Context<Env>): Promise<Uint8Array | null> =>
    ((await c.req.bodyCache.arrayBuffer) as Uint8Array | undefined) ?? null;

  const at: OwnerNode["at"] = async (c, root, serve) => {
    for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
      const place = await fleet.place(root, c.env.access.isForwarded);
      if ("leave" in place) {
        let isKept = false;
        const keep = () => {
          isKept = true;
          return place.leave;
        };
        try {
          return await serve(keep);
        } finally {
          if (!isKept) place.leave();
        }
      }
      const response = await forward(c, await body(c), place);
      if (response.status !== 421) return response;
      await response.body?.cancel();
    }
    throw new RequestError(
      "conversation_moved",
      "This conversation changes its node just now. Send the message again.",
      {
        retryAfter: 1,
      },
    );
  };

  /** Sends the request to all other nodes. The answers of nodes that do not answer in time reject. */
  const askOthers = async (c: Context<Env>): Promise<{ name: string; response: Promise<Response> }[]> => {
    if (c.env.access.isForwarded) return [];
    const sent = await body(c);
    return (await fleet.others()).map((node) => {
      const deadline = new AbortController();
      const cancel = clock.after(TOGETHER_MS, () => deadline.abort());
      return { name: node.name, response: forward(c, sent, node, deadline.signal).finally(cancel) };
    });
  };

  return {
    keepBody: async (c, next) => {
      if (c.req.raw.body && !c.req.bodyCache.arrayBuffer) {
        // Hono stores promises here, which its type does not say.
        const bytes = Promise.resolve(await readBytes(c.req.raw, BODY_LIMIT));
        c.req.bodyCache = { arrayBuffer: bytes as unknown as ArrayBuffer };
      }
      return next();
    },
    at,
    ofKey: async (c, key, serve) => {
      const root = await fleet.rootOf(key);
      return root === undefined ? serve() : at(c, root, serve);
    },
    ofTurn: async (c, turn, serve) => {
      const root = turn === null ? undefined : await fleet.rootOfTurn(turn);
      return root === undefined ? serve() : at(c, root, serve);
    },
    ofCalls: async (c, ids, serve) => {
      const node = c.env.access.isForwarded ? null : await fleet.nodeOfCalls(ids);
      if (node === null) return serve();
      const response = await forward(c, await body(c), node);
      // After a refusal the client sends the results again.
      if (response.ok) void fleet.forgetCalls(ids);
      return response;
    },
    others: async <Body>(c: Context<Env>, body: ZodType<Body>) => {
      const answers: Body[] = [];
      const missing: string[] = [];
      const read = async (name: string, response: Promise<Response>) => {
        try {
          answers.push(body.parse(await (await accepted(await response)).json()));
        } catch (error) {
          log.warning("node {name} did not answer: {error}", { name, error });
          missing.push(name);
        }
      };
      await Promise.all((await askOthers(c)).map(({ name, response }) => read(name, response)));
      return missing.length === 0 ? { answers } : { answers, missing };
    },
    elsewhere: async (c) => {
      const asked = await askOthers(c);
      try {
        return await Promise.any(asked.map(async ({ response }) => accepted(await response)));
      } catch (error) {
        // A node that did not answer may be the one.
        const unavailable = (error as AggregateError).errors.find((one) => one instanceof RequestError);
        if (unavailable) throw unavailable;
        return null;
      }
    },
  };
}

/** @throws Error when the node has refused the request */
async function accepted(answer: Response): Promise<Response> {
  if (answer.ok) return answer;
  await answer.body?.cancel();
  throw new Error(`the node has refused the request with ${answer.status}`);
}

/** A server that is no node of a fleet. */
export const onlyNode: OwnerNode = {
  keepBody: (_c, next) => next(),
  at: async (_c, _root, serve) => serve(() => () => {}),
  ofKey: async (_c, _key, serve) => serve(),
  ofTurn: async (_c, _turn, serve) => serve(),
  ofCalls: (_c, _ids, serve) => serve(),
  others: async () => ({ answers: [] }),
  elsewhere: async () => null,
};
