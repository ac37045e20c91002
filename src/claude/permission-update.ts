/** A rule that a verdict grants, as a `PermissionUpdate` of Claude Code's hooks reference and of its SDK. */

/** @param rule in Claude Code's syntax, such as `Bash(git push *)`. It holds for this process; the next is started with it */
export function permissionUpdate(rule: string): object {
  const [, toolName, ruleContent] = /^([^(]+)(?:\((.*)\))?$/.exec(rule) ?? [];
  return { type: "addRules", rules: [{ toolName, ruleContent }], behavior: "allow", destination: "session" };
}
