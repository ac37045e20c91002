/** OpenClaw's tools that a claude has no use for, since it has its own for the same. */

const OF_CLAUDE_TOO = new Set([
  "apply_patch",
  "computer",
  "edit",
  "exec",
  "ls",
  "process",
  "read",
  "view_image",
  "write",
]);

/** Whether claude has a tool of its own that does what OpenClaw's does, to the same files and in the same shell. */
export const isBuiltInForClaude = (name: string): boolean => OF_CLAUDE_TOO.has(name);
