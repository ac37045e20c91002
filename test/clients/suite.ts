/** The cases of the table, each played by a client against the real claude with a scripted model. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { apiError, type ModelRequest, type Step, text, toolUse } from "../support/mock-anthropic.ts";
import { createWorld, type World } from "../support/world.ts";
import { type Access, type Case, CITIES, type Client, REPORT, type Row, weather, weatherIn } from "./client.ts";
import { type Relay, startRelay } from "./relay.ts";

interface Rig {
  readonly world: World;
  readonly relay: Relay;
  readonly access: Access;
  readonly scripts: Map<string, Script>;
}

/** Makes the tests of these rows. All clients use one server, with nothing set but the engine. */
export function playTable(table: Readonly<Record<string, Row>>): void {
  let rig: Rig;
  beforeAll(async () => {
    const world = await createWorld({ env: { SYNTHESIS_ENGINE: "stream" } });
    const relay = startRelay(world.server.url);
    const [baseURL, apiKey, ending] = [`${relay.url}/v1`, world.server.key, new AsyncDisposableStack()];
    ending.use(world);
    ending.defer(() => relay.stop());
    rig = { world, relay, access: { baseURL, apiKey, model: "synthesis-claude-bridge", ending }, scripts: new Map() };
  });
  afterAll(() => rig.access.ending.disposeAsync());

  for (const [name, row] of Object.entries(table)) {
    describe(name, () => {
      for (const [of, play] of Object.entries(cases) as [Case, Play<Case>][]) {
        const drive = row[of];
        if (typeof drive === "function") test(of, () => play(rig, drive, `${name} ${of}`, row));
        else test.skip(`${of}: ${drive.because}`, () => {});
      }
    });
  }
}

/** @param about begins the prompts of this test, so that the model's script finds them */
type Play<C extends Case> = (rig: Rig, drive: Client[C], about: string, row: Row) => Promise<void>;

const cases: { readonly [C in Case]: Play<C> } = {
  text: async (rig, ask, about) => {
    answerWith(rig, about, function* () {
      yield text(`Hello, ${about}.`);
    });

    expect(await ask(rig.access, `${about}: say hello`)).toContain(`Hello, ${about}.`);
  },

  stream: async (rig, ask, about) => {
    const firstArrived = Promise.withResolvers<void>();
    answerWith(rig, about, async function* () {
      yield text("The first line.\n");
      await firstArrived.promise;
      yield text("The second line.\n");
    });

    let received = "";
    await ask(rig.access, `${about}: write two lines`, (piece) => {
      received += piece;
      if (received.includes("first line")) firstArrived.resolve();
    });
    expect(received).toContain("The first line.\nThe second line.");
  },

  turns: async (rig, chat, about) => {
    const before = rig.relay.exchanges.length;
    answerWith(rig, `${about}: my name is Ada`, function* () {
      yield text("Nice to meet you.");
    });
    const second: ModelRequest[] = [];
    answerWith(rig, `${about}: what is my name`, function* (request) {
      second.push(request);
      yield text("Your name is Ada.");
    });

    expect(await chat(rig.access, [`${about}: my name is Ada`, `${about}: what is my name?`])).toContain("Ada");
    const roles = second[0]?.body.messages.map(({ role }) => role).filter((role) => role !== "system");
    expect(roles).toEqual(["user", "assistant", "user"]);
    expect(second[0]?.shown).toContain("my name is Ada");
    expect(second[0]?.shown).toContain("Nice to meet you.");
    expect(rig.relay.exchanges.slice(before).at(-1)?.process).toBe("warm");
  },

  tools: async (rig, ask, about) => {
    const results: string[] = [];
    const own: string[] = [];
    answerWith(rig, about, function* (request) {
      const city = /weather in (\w+)\?/.exec(request.shown)?.[1] ?? "";
      if (request.toolResults.length === 0) {
        own.push(...toolNames(request).filter((name) => /^(Bash|Edit|Read|Write)$/.test(name)));
        yield callOf(request, city);
        return;
      }
      const all = request.toolResults.map(({ content }) => content);
      results.push(...all);
      yield text(`The model read: ${all.join(", ")}`);
    });

    // Two at a time, so that a result that reaches another's call is seen.
    const answers = await Promise.all(
      CITIES.map((city) => ask(rig.access, `${about}: what is the weather in ${city}?`)),
    );
    for (const [index, city] of CITIES.entries()) expect(answers[index]).toContain(weatherIn(city));
    expect(results).toHaveLength(CITIES.length);
    // Claude works with the client's hands, in the client's folder.
    expect(own).toEqual([]);
  },

  structured: async (rig, ask, about) => {
    answerWith(rig, about, function* (request) {
      const names = toolNames(request);
      const form =
        names.find((name) => /StructuredOutput$/.test(name)) ?? names.find((name) => name.startsWith("mcp__"));
      if (form && request.toolResults.length === 0) yield toolUse(form, REPORT);
      else if (/json/i.test(request.shown)) yield text(JSON.stringify(REPORT));
      else yield text("The model was asked for no form.");
    });

    expect(await ask(rig.access, `${about}: report the weather`)).toMatchObject(REPORT);
  },

  abort: async (rig, ask, about, row) => {
    const stop = new AbortController();
    const closed = Promise.withResolvers<"complete" | "aborted">();
    answerWith(rig, about, async function* (request) {
      if (/after that/.test(request.shown)) {
        yield text("The next answer.");
        return;
      }
      request.closed.then(closed.resolve);
      yield text("The first line.\n");
      // A client that shows nothing yet is stopped as soon as the model has begun.
      if (typeof row.stream !== "function") stop.abort();
      await request.closed;
    });

    const stopped = ask(rig.access, `${about}: write for ever`, () => stop.abort(), stop.signal).catch(() => {});
    expect(await closed.promise).toBe("aborted");
    await stopped;
    let next = "";
    await ask(rig.access, `${about}: and after that`, (piece) => (next += piece), new AbortController().signal);
    expect(next).toContain("The next answer.");
  },

  error: async (rig, ask, about) => {
    answerWith(rig, about, function* () {
      yield apiError(400, "invalid_request_error", "not like this");
    });

    expect(await ask(rig.access, `${about}: say hello`)).toBe(400);
  },
};

type Script = (request: ModelRequest) => AsyncIterable<Step> | Iterable<Step>;

/**
 * Scripts the model's answers to prompts that contain `prompt`. The newest script counts.
 * A note of the server may follow the prompt, and a request for the chat's title contains it.
 */
function answerWith({ world, scripts }: Rig, prompt: string, script: Script): void {
  if (scripts.size === 0) {
    world.mock.on(/^/, (request) => {
      if (/title generator/.test(request.shown)) return [text("The weather")];
      const known = [...scripts].findLast(([part]) => request.shown.includes(part));
      return known ? known[1](request) : [text("The model knows no such prompt.")];
    });
  }
  scripts.set(prompt, script);
}

const toolNames = ({ body: { tools = [] } }: ModelRequest): string[] => tools.map(({ name }) => name);

/** A call of the client's tool that knows the weather: its own, or the one with which it reads a file. */
function callOf(request: ModelRequest, city: string): Step {
  const offered = (name: RegExp) => toolNames(request).find((one) => one.startsWith("mcp__") && name.test(one));
  const own = offered(new RegExp(`${weather.name}$`));
  if (own) return toolUse(own, { city });
  const shell = offered(/_exec_command$/);
  if (shell) return toolUse(shell, { cmd: `cat ${city}.txt` });
  const read = offered(/_read$/i);
  if (read) return toolUse(read, { filePath: `${city}.txt`, filepath: `${city}.txt` });
  return text("The client's tools were not offered.");
}
