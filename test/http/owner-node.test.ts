/** Requests that a node of a fleet sends to all others, because only one of them can know the answer. */
import { expect, test } from "bun:test";
import type { Context } from "hono";
import { z } from "zod";
import { RequestError } from "../../src/core/errors.ts";
import type { Fleet } from "../../src/fleet/fleet.ts";
import type { Env } from "../../src/http/env.ts";
import type { Forward } from "../../src/http/forward.ts";
import { createOwnerNode } from "../../src/http/owner-node.ts";
import { ManualClock } from "../support/manual-clock.ts";

const context = { env: { access: { isForwarded: false } }, req: { bodyCache: {} } } as unknown as Context<Env>;
const unavailable = () => new RequestError("node_unavailable", "The node does not answer.");

/** A node that stands still: the connection is open, and nothing comes. */
const SILENT = "silent";

/** @param answers of the other nodes: a status, or SILENT */
function createNode(...answers: (number | typeof SILENT)[]) {
  const clock = new ManualClock();
  const fleet = {
    others: async () => answers.map((_answer, at) => ({ name: `node ${at}`, url: `${at}` })),
  } as unknown as Fleet;
  const forward: Forward = (_c, _body, { url }, deadline) => {
    const answer = answers[Number(url)];
    if (typeof answer === "number") return Promise.resolve(new Response(url, { status: answer }));
    const { promise, reject } = Promise.withResolvers<never>();
    deadline?.addEventListener("abort", () => reject(unavailable()));
    return promise;
  };
  return { clock, node: createOwnerNode(fleet, forward, clock) };
}

test("a list has what the nodes know that answer in time, and names the others", async () => {
  const { clock, node } = createNode(200, SILENT, 503, 200);
  const asked = node.others(context, z.number());
  await clock.pass(5_000);
  const { answers, missing } = await asked;
  expect([answers.sort(), missing?.sort()]).toEqual([
    [0, 3],
    ["node 1", "node 2"],
  ]);
  expect(clock.timers).toBe(0);
});

test("a node whose answer has another form is missing in a list", async () => {
  const { node } = createNode(200);
  expect(await node.others(context, z.string())).toEqual({ answers: [], missing: ["node 0"] });
});

test("a node that accepts the request ends the wait for the others", async () => {
  const { node } = createNode(SILENT, 404, 200);
  expect(await (await node.elsewhere(context))?.text()).toBe("2");
});

test("a request that every node refuses has no answer", async () => {
  const { node } = createNode(404, 404);
  expect(await node.elsewhere(context)).toBeNull();
});

test("a node that is silent may be the one that knows", async () => {
  const { clock, node } = createNode(404, SILENT);
  const asked = node.elsewhere(context).catch((error) => error);
  await clock.pass(5_000);
  expect(await asked).toMatchObject({ code: "node_unavailable" });
});
