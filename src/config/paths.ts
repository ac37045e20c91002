/** Where synthesis keeps its state: one folder, readable by its owner only. */
import { homedir } from "node:os";
import { join, resolve } from "node:path";

export interface Paths {
  /** `SYNTHESIS_HOME`, by default `~/.synthesis`. */
  readonly home: string;
  readonly configFile: string;
  /** The key that clients bring, made on the first start. */
  readonly chatKey: string;
  /** The Claude Code plugin that the server writes for its own claude processes. */
  readonly plugin: string;
  /** One folder per running claude: its settings (with its tokens), system prompt and debug log. */
  readonly run: string;
  /** Which conversation is which claude session, and every turn. */
  readonly database: string;
  /** Held by the one server that uses this folder. */
  readonly lock: string;
  /** Where conversations work when nothing else is said. */
  readonly workspace: string;
}

/** The paths below `home`, or below `SYNTHESIS_HOME` or its default when it is not given. */
export function pathsFor(home: string | undefined): Paths {
  const root = resolve(home || join(homedir(), ".synthesis"));
  return {
    home: root,
    configFile: join(root, "config.json"),
    chatKey: join(root, "chat.key"),
    plugin: join(root, "plugin"),
    run: join(root, "run"),
    database: join(root, "synthesis.db"),
    lock: join(root, "server.lock"),
    workspace: join(root, "workspace"),
  };
}
