/** A server loads only what it needs: that takes less memory, and nothing of a fleet can slow down a server that is alone. */
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { preloaded } from "../support/server.ts";
import { createWorld } from "../support/world.ts";

test("a server without a database of a fleet loads no code of Postgres, and none of other commands", async () => {
  const root = join(import.meta.dir, "../..");
  let list = "";
  await using world = await createWorld({
    standIn: true,
    program: preloaded("list-modules.ts"),
    prepare: ({ base, env }) => {
      list = join(base, "modules");
      env.LOADED_MODULES = list;
    },
  });
  await world.server.stop();
  const loaded = readFileSync(list, "utf8").split("\n");
  expect(loaded).toContain(join(root, "src/cli/serve.ts"));
  const unneeded = /src\/(?:store\/postgres|cli\/node\.|cli\/nodes\.|cli\/attach|setup|service)|drizzle-orm\/bun-sql\//;
  expect(loaded.filter((path) => unneeded.test(path))).toEqual([]);
});
