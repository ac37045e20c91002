/** The tools of OpenClaw that Claude Code has equivalents of. */

const BUILT_IN = new Set(["apply_patch", "computer", "edit", "exec", "ls", "process", "read", "view_image", "write"]);

/** Whether Claude Code has a built-in tool that does the same to the same files, or in the same shell. */
export const isBuiltInForClaude = (name: string): boolean => BUILT_IN.has(name);
