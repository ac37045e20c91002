/** `synthesis open`: opens the page of the running server in the browser, with a link that lets it in once. */
import { Command, Option } from "commander";
import { findProgram } from "../core/search-path.ts";
import { visibleLine } from "../core/visible-text.ts";
import { Failure } from "./failure.ts";
import { homeOption } from "./options.ts";
import { print } from "./print.ts";
import { runningServer } from "./running-server.ts";

interface Options {
  readonly home?: string;
  readonly look?: boolean;
  readonly print?: boolean;
  readonly url?: string;
}

export const openCommand = (): Command =>
  new Command("open")
    .description("open the page of the running server in the browser")
    .addOption(homeOption())
    .option("--look", "the page may only look: it answers no permission prompt, and interrupts nothing")
    .option("--print", "print the link, and open no browser")
    .addOption(new Option("--url <base>", "another address of the server, such as https://bridge.example.com:8443"))
    .action(async ({ home, look, print: isPrinted, url }: Options) => {
      const base = url === undefined ? undefined : baseUrl(url);
      const { code, role, addresses } = await runningServer(home).pageCode(look ? "look" : "decide");
      // The fragment of a URL is never sent to a server, and so is in no log.
      const linkAt = (address: string) => `${address}/page#code=${code}`;
      const link = linkAt(base ?? addresses[0] ?? "");
      const what = role === "look" ? "It may only look." : "It may look, and decide.";
      const open = isPrinted || base !== undefined ? null : opener(process.env);
      if (open !== null && (await hasOpened(open, link))) {
        print(`The page opens in your browser. ${what} \`synthesis open --print\` prints the link instead.`);
      } else {
        print(`${link}\n\nOpen this link within a minute. It works once. ${what}`);
      }
      const remote = addresses.slice(1).filter((address) => address.startsWith("https:"));
      if (base === undefined && remote.length > 0) {
        const commands = remote.map((address) => `  synthesis open --url ${address}`).join("\n");
        print(`For a phone, or another machine:\n${visibleLine(commands.trim())}`);
      } else if (base?.startsWith("http:") && !isLoopback(base)) {
        print("The connection to this address is not encrypted: everyone on the way can read the page, and its token.");
      }
    });

/** @throws Failure for what is no URL of a server */
function baseUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (!url || !/^https?:$/.test(url.protocol) || url.username !== "" || url.search !== "" || url.hash !== "") {
    throw new Failure(
      `${text} is not the address of a server. It must be one such as https://bridge.example.com:8443.`,
    );
  }
  return url.origin;
}

const isLoopback = (base: string): boolean => /^(127\.|localhost$|\[::1\]$)/.test(new URL(base).hostname);

/** The program that opens a link in the browser; null where there is none, or no display. */
function opener(env: Record<string, string | undefined>): string | null {
  if (process.platform === "darwin") return findProgram("open", env);
  const hasDisplay = Boolean(env.DISPLAY || env.WAYLAND_DISPLAY);
  return hasDisplay ? findProgram("xdg-open", env) : null;
}

/** @returns false when the program fails, for example because there is no browser */
async function hasOpened(program: string, link: string): Promise<boolean> {
  const child = Bun.spawn([program, link], { stdin: "ignore", stdout: "ignore", stderr: "ignore" });
  // Some openers run as long as the browser does.
  const result = await Promise.race([child.exited, Bun.sleep(OPENER_MS)]);
  child.unref();
  return result === undefined || result === 0;
}

/** An opener that fails does so within this time, in ms. */
const OPENER_MS = 2_000;
