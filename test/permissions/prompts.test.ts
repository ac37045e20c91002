/** Where a permission prompt goes: into the chat, to the holder of the control key, or nowhere. */
import { beforeEach, describe, expect, test } from "bun:test";
import { setImmediate } from "node:timers/promises";
import { createPermissionBroker, type PermissionBroker } from "../../src/permissions/broker.ts";
import { PermissionPrompts, type PromptingTurn } from "../../src/permissions/prompts.ts";
import { ManualClock } from "../support/manual-clock.ts";

const prompt = { session: "user:ann", turn: "t", tool: "Bash", input: { command: "git push" }, sender: "ann" };
const never = new AbortController().signal;

/** A turn that records what the prompts do to it. */
class FakeTurn implements PromptingTurn {
  isSilent = false;
  readonly work = new AbortController();
  readonly workEnded = this.work.signal;
  readonly notes: string[] = [];
  readonly questions: string[] = [];
  readonly abandoned: string[] = [];
  #unparked = Promise.withResolvers<void>();
  constructor() {
    this.#unparked.resolve();
  }
  note = (text: string) => void this.notes.push(text);
  askClient = (text: string) => {
    this.questions.push(text);
    this.#unparked = Promise.withResolvers();
  };
  whenUnparked = () => this.#unparked.promise;
  abandon = (_results: unknown, why: string) => void this.abandoned.push(why);
  /** The client's next request joins the turn. */
  unpark = () => this.#unparked.resolve();
}

let clock: ManualClock;
let broker: PermissionBroker;
beforeEach(() => {
  clock = new ManualClock();
  broker = createPermissionBroker({
    config: { permissionTimeoutMs: 1_000 },
    permissionLog: { insertPrompt: () => {}, setVerdict: () => {}, rules: () => [] },
    env: {},
    clock,
  });
});
const create = (permissions: "chat" | "ask" | "refuse") =>
  new PermissionPrompts({ config: { permissions, allowedTools: ["Read"] }, permissions: broker });
const only = () => {
  expect(broker.pending).toHaveLength(1);
  return broker.pending[0] as (typeof broker.pending)[0];
};

describe("in the chat", () => {
  test("ends the client's answer with the prompt, and resolves with the verdict", async () => {
    const prompts = create("chat");
    const turn = new FakeTurn();
    const verdict = prompts.ask(prompt, turn, () => true, never);
    await setImmediate();
    const { id } = only();
    expect(turn.questions).toEqual([expect.stringContaining(`yes ${id}`)]);
    expect(prompts.chatPrompt).toMatchObject({ pending: { id }, isDirect: true });
    prompts.closeChatPrompt();
    broker.answer(id, { behavior: "allow", way: "chat", by: "ann" });
    expect((await verdict).behavior).toBe("allow");
    expect(turn.abandoned).toEqual([]);
  });

  test("shows one prompt at a time", async () => {
    const prompts = create("chat");
    const turn = new FakeTurn();
    const first = prompts.ask(prompt, turn, () => true, never);
    const second = prompts.ask({ ...prompt, tool: "Write" }, turn, () => true, never);
    await setImmediate();
    expect(turn.questions).toHaveLength(1);
    prompts.closeChatPrompt();
    turn.unpark();
    broker.answer(only().id, { behavior: "allow", way: "chat", by: "ann" });
    await first;
    await setImmediate();
    expect(turn.questions).toHaveLength(2);
    prompts.closeChatPrompt();
    broker.answer(only().id, { behavior: "deny", way: "chat", by: "ann" });
    expect((await second).behavior).toBe("deny");
  });

  test("waits until a client is there to receive it", async () => {
    const prompts = create("chat");
    const turn = new FakeTurn();
    turn.askClient("an earlier question");
    void prompts.ask(prompt, turn, () => true, never);
    await setImmediate();
    expect(broker.pending).toEqual([]);
    turn.unpark();
    await setImmediate();
    expect(turn.questions).toHaveLength(2);
  });

  test("ends the turn when the prompt times out", async () => {
    const prompts = create("chat");
    const turn = new FakeTurn();
    const verdict = prompts.ask(prompt, turn, () => true, never);
    await clock.pass(1_000);
    const { message } = await verdict;
    expect(prompts.chatPrompt).toBeNull();
    expect(turn.abandoned).toEqual([message]);
  });

  test("closes the prompt without ending the turn when the control key allows it", async () => {
    const prompts = create("chat");
    const turn = new FakeTurn();
    const verdict = prompts.ask(prompt, turn, () => true, never);
    await setImmediate();
    broker.answer(only().id, { behavior: "allow", way: "control", by: null });
    await verdict;
    expect(prompts.chatPrompt).toBeNull();
    expect(turn.abandoned).toEqual([]);
  });

  test("denies a prompt of an unknown sender, and says so in the answer", async () => {
    const turn = new FakeTurn();
    const verdict = await create("chat").ask({ ...prompt, sender: null }, turn, () => true, never);
    expect(verdict.behavior).toBe("deny");
    expect(turn.notes).toEqual([expect.stringMatching(/^\[synthesis: Claude asked to use Bash, .*refused\.\]$/)]);
  });
});

describe("for the holder of the control key", () => {
  test("notes the command that answers it, and lets the turn run", async () => {
    const turn = new FakeTurn();
    const verdict = create("ask").ask(prompt, turn, () => true, never);
    const { id } = only();
    expect(turn.notes).toEqual([expect.stringContaining(`synthesis permissions allow ${id}`)]);
    expect(turn.questions).toEqual([]);
    broker.answer(id, { behavior: "allow", way: "control", by: null });
    expect((await verdict).behavior).toBe("allow");
  });

  test("denies the prompt when the turn's work for its client ends", async () => {
    const turn = new FakeTurn();
    const verdict = create("ask").ask(prompt, turn, () => true, never);
    turn.work.abort();
    expect((await verdict).behavior).toBe("deny");
    expect(broker.pending).toEqual([]);
  });
});

describe("is denied at once", () => {
  test("when the setting is `refuse`", async () => {
    const turn = new FakeTurn();
    expect((await create("refuse").ask(prompt, turn, () => true, never)).behavior).toBe("deny");
    expect(turn.notes).toEqual([expect.stringContaining("not among its allowed tools")]);
  });

  test("when no client receives the turn's answer", async () => {
    const turn = new FakeTurn();
    turn.isSilent = true;
    expect((await create("ask").ask(prompt, turn, () => true, never)).behavior).toBe("deny");
  });

  test("when Claude asks outside every turn", async () => {
    expect((await create("ask").ask(prompt, undefined, () => true, never)).behavior).toBe("deny");
  });

  test("and says what Claude Code protects when the tool itself is allowed", async () => {
    const turn = new FakeTurn();
    await create("refuse").ask({ ...prompt, tool: "Read", input: { file_path: "/w/.git/x" } }, turn, () => true, never);
    expect(turn.notes).toEqual([expect.stringContaining("Claude Code protects some files")]);
  });
});
