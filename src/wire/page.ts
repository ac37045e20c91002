/** The bodies with which `synthesis open` and the page get in. Times are Unix milliseconds. */
import { z } from "zod";

/** What a page may do: only read, or also decide: answer permission prompts, and interrupt, reset and delete. */
export const pageRole = z.enum(["look", "decide"]);
export type PageRole = z.infer<typeof pageRole>;

/** What `synthesis open` asks for. */
export const pageCodeRequest = z.strictObject({ role: pageRole });

/** The one-time code of a link, and the addresses at which the page can be opened. */
export const pageCode = z.object({
  code: z.string(),
  role: pageRole,
  expires_at: z.number(),
  /** Base URLs of the page, the one of this machine first. */
  addresses: z.array(z.string()),
});
export type PageCode = z.infer<typeof pageCode>;

/** What a page sends for its token. A code that is too long cannot be right. */
export const pageTokenRequest = z.strictObject({ code: z.string().max(200) });

export const pageToken = z.object({ token: z.string(), role: pageRole });
export type PageToken = z.infer<typeof pageToken>;

export const signedOut = z.object({ signed_out: z.literal(true) });
