/** The bodies of `/v1/permissions`, as the server and the command line exchange them. Times are Unix milliseconds. */
import { z } from "zod";
import { missingNodes } from "./missing-nodes.ts";

/** A permission prompt that waits for its verdict. */
const permissionPrompt = z.object({
  id: z.string(),
  /** The key of the session in which Claude asks. */
  session: z.string(),
  turn: z.string().nullable(),
  tool: z.string(),
  /** What Claude wants to do, on one line. */
  description: z.string(),
  /** The input of the tool; absent if the tool has none. */
  input: z.unknown().optional(),
  /** The sender of the message that Claude works on, if known. */
  sender: z.string().nullable(),
  asked_at: z.number(),
});
export type PermissionPromptBody = z.infer<typeof permissionPrompt>;

export const permissionPromptDetails = permissionPrompt.extend({
  /** The part of the input that does not fit on one line, such as the text of a file; null if there is none. */
  content: z.object({ text: z.string(), bytes: z.number(), sha256: z.string() }).nullable(),
});
export type PermissionPromptDetails = z.infer<typeof permissionPromptDetails>;

/** A permission prompt in the log. All fields of the verdict are null while it waits. */
const permissionRecord = z.object({
  session: z.string(),
  turn: z.string().nullable(),
  tool: z.string(),
  sender: z.string().nullable(),
  asked_at: z.number(),
  verdict: z.enum(["allow", "deny"]).nullable(),
  way: z.string().nullable(),
  rule: z.string().nullable(),
  decided_by: z.string().nullable(),
  decided_at: z.number().nullable(),
});
export type PermissionRecord = z.infer<typeof permissionRecord>;

export const permissionList = z.object({
  object: z.literal("list"),
  /** The prompts that wait, oldest first. */
  data: z.array(permissionPrompt),
  /** The latest prompts, including those with a verdict, newest first. */
  latest: z.array(permissionRecord),
  missing_nodes: missingNodes,
});
export type PermissionList = z.infer<typeof permissionList>;

export const permissionVerdict = z
  .strictObject({
    behavior: z.enum(["allow", "deny"]),
    /** A permission rule of Claude Code. What it matches is allowed until the session is reset. */
    rule: z
      .string()
      .regex(/^[A-Za-z][\w-]*(\([^()\n]+\))?$/, "must be a permission rule of Claude Code, such as Bash(git push *)")
      .optional(),
  })
  .refine(({ behavior, rule }) => behavior === "allow" || rule === undefined, {
    path: ["rule"],
    message: "must be absent when behavior is deny",
  });
export type PermissionVerdict = z.infer<typeof permissionVerdict>;
