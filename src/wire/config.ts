/** The bodies of `/v1/config`, as the server and the command line exchange them. */
import { isAbsolute } from "node:path";
import { z } from "zod";

/** What differs between the configuration of the running server and its configuration file. */
export const configDifference = z.object({
  object: z.literal("config"),
  /** The settings that would have another value after a restart. */
  changed: z.array(z.string()).readonly(),
  /** Why the server would not start with the file as it is now; null when it would. */
  problem: z.string().nullable(),
});
export type ConfigDifference = z.infer<typeof configDifference>;

const root = z.string().refine((path) => isAbsolute(path), "must be an absolute path");

/** A change of the folders below which clients may choose their workspace. It holds until the server stops. */
export const rootsChange = z.strictObject({
  add: z.array(root).readonly().default([]),
  remove: z.array(root).readonly().default([]),
});
/** A change as it is sent: both lists may be absent. */
export type RootsChange = z.input<typeof rootsChange>;

export const allowedRoots = z.object({ allowed_roots: z.array(z.string()).readonly() });
export type AllowedRoots = z.infer<typeof allowedRoots>;
