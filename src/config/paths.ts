/** Where synthesis keeps its state: one folder, readable by its owner only. */
import { homedir } from "node:os";
import { join, resolve } from "node:path";

export interface Paths {
  /** `SYNTHESIS_HOME`, by default `~/.synthesis`. */
  readonly home: string;
  readonly configFile: string;
  /** The key that clients bring, made on the first start. */
  readonly chatKey: string;
  /** The key to the sessions; it stays in this folder. */
  readonly controlKey: string;
  /** One folder per running claude: its settings, its plugin (with its tokens), system prompt and debug log. */
  readonly run: string;
  /** Which conversation is which claude session, and every turn. */
  readonly database: string;
  /** Always empty: where a claude works that is to see no files. */
  readonly emptyFolder: string;
  /** Images that came with messages, a folder per claude session. */
  readonly attachments: string;
  /** Held by the one server that uses this folder. */
  readonly lock: string;
  /** The plugin that OpenClaw loads from here, and what `synthesis setup openclaw` has done. */
  readonly openClawPlugin: string;
  readonly openClawRecord: string;
  /** Where conversations work when nothing else is said. */
  readonly workspace: string;
}

/** A path that begins with `~` as a shell would understand it. */
export const expandHome = (path: string): string => path.replace(/^~(?=\/|$)/, () => homedir());

/** The paths below `home`, or below `SYNTHESIS_HOME` or its default when it is not given. */
export function pathsFor(home: string | undefined): Paths {
  const root = resolve(home ? expandHome(home) : join(homedir(), ".synthesis"));
  return {
    home: root,
    configFile: join(root, "config.json"),
    chatKey: join(root, "chat.key"),
    controlKey: join(root, "control.key"),
    run: join(root, "run"),
    database: join(root, "synthesis.db"),
    emptyFolder: join(root, "nowhere"),
    attachments: join(root, "images"),
    lock: join(root, "server.lock"),
    openClawPlugin: join(root, "openclaw-plugin"),
    openClawRecord: join(root, "openclaw-setup.json"),
    workspace: join(root, "workspace"),
  };
}
