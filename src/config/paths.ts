/** The state folder and everything in it. Only its owner can read it. */
import { homedir } from "node:os";
import { join, resolve } from "node:path";

export interface Paths {
  /** `SYNTHESIS_HOME`, by default `~/.synthesis`. */
  readonly home: string;
  readonly configFile: string;
  /** The key that clients send. */
  readonly chatKey: string;
  /** The named chat keys. */
  readonly keys: string;
  /** The key of the control API. Only this program's commands use it. */
  readonly controlKey: string;
  /** The key that opens the metrics, for Prometheus. */
  readonly metricsKey: string;
  /** What a node of a fleet shows the others, and the key that proves it. */
  readonly nodeCertificate: string;
  readonly nodeKey: string;
  /** The variables that the service takes over, secrets among them. */
  readonly serviceEnvironment: string;
  /** A folder for each agent process: its settings, its plugin with its tokens, its system prompt and its debug log. */
  readonly run: string;
  /** The SQLite database: conversations, their Claude sessions, turns and permissions. */
  readonly database: string;
  /** The workspace for requests that name no conversation, whose Claude must see no files. Always empty. */
  readonly emptyFolder: string;
  /** The images and files that clients sent, in a folder for each Claude session. */
  readonly attachments: string;
  /** Whether Claude Code last accepted our channel. */
  readonly channelRecord: string;
  /** What the receiver has been notified of, so that a restarted server does not repeat it. */
  readonly notificationRecord: string;
  /** Until when the processes of a node may run, for its watchdog. */
  readonly lease: string;
  /** Locked by the one server that uses this state folder. */
  readonly lock: string;
  /** The folder from which OpenClaw loads our plugin. */
  readonly openClawPlugin: string;
  /** What `synthesis setup openclaw` has changed, so that it can be undone. */
  readonly openClawRecord: string;
  /** The default workspace. */
  readonly workspace: string;
}

/** Replaces a leading `~` by the home folder, as a shell does. */
export const expandHome = (path: string): string => path.replace(/^~(?=\/|$)/, () => homedir());

/** The paths in the state folder `home`, by default `~/.synthesis`. */
export function pathsFor(home: string | undefined): Paths {
  const root = resolve(home ? expandHome(home) : join(homedir(), ".synthesis"));
  return {
    home: root,
    configFile: join(root, "config.json"),
    chatKey: join(root, "chat.key"),
    keys: join(root, "keys.json"),
    controlKey: join(root, "control.key"),
    metricsKey: join(root, "metrics.key"),
    nodeCertificate: join(root, "node.crt"),
    nodeKey: join(root, "node.key"),
    serviceEnvironment: join(root, "service.env"),
    run: join(root, "run"),
    database: join(root, "synthesis.db"),
    emptyFolder: join(root, "nowhere"),
    attachments: join(root, "images"),
    channelRecord: join(root, "channel.json"),
    notificationRecord: join(root, "notified.json"),
    lease: join(root, "lease"),
    lock: join(root, "server.lock"),
    openClawPlugin: join(root, "openclaw-plugin"),
    openClawRecord: join(root, "openclaw-setup.json"),
    workspace: join(root, "workspace"),
  };
}
