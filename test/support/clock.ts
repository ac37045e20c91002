/**
 * Loaded before a program under test: its time runs faster than ours, and its clock jumps when a test says so.
 * Waits that take seconds in life take a fraction of one here, and a machine that slept or was set right is only a
 * number. A page that all programs of one test share has what they need, so their clocks agree, as on one machine.
 */

/** Where the page's numbers are. */
const AT = { speed: 0, beginning: 1, jumped: 2 } as const;

/** Waits of less than this, in ms, are as long as ever. */
const SHORT_MS = 100;

/** A page for one test. @param speed how many times faster than ours its time runs */
export async function createClock(file: string, speed: number) {
  const numbers = new Float64Array(512);
  numbers.set([speed, Date.now(), 0]);
  await Bun.write(file, numbers);
  const page = open(file);
  return {
    env: { TEST_CLOCK: file },
    /** The clock on the wall is set; no time passes. @param ms negative for back */
    jump: (ms: number) => {
      page[AT.jumped] = (page[AT.jumped] ?? 0) + ms;
    },
  };
}

const open = (file: string) => new Float64Array(Bun.mmap(file).buffer);

if (process.env.TEST_CLOCK) {
  const page = open(process.env.TEST_CLOCK);
  const [speed = 1, beginning = 0] = page;
  const { setTimeout: timeout, setInterval: interval, Date: RealDate } = globalThis;
  const realNow = RealDate.now;
  const passed = performance.now.bind(performance);
  const abortAfter = AbortSignal.timeout.bind(AbortSignal);
  const sleep = Bun.sleep;

  // A short wait is for what the machine takes, which is not faster than usual.
  const scaled = (ms: number | undefined) => (ms === undefined || ms < SHORT_MS ? ms : ms / speed);
  const now = () => Math.floor(beginning + (realNow() - beginning) * speed + (page[AT.jumped] ?? 0));
  globalThis.Date = new Proxy(RealDate, {
    construct: (target, given, self) => Reflect.construct(target, given.length === 0 ? [now()] : given, self),
    get: (target, name, self) => (name === "now" ? now : Reflect.get(target, name, self)),
  });
  performance.now = () => passed() * speed;
  globalThis.setTimeout = ((run: () => void, ms?: number, ...all: []) =>
    timeout(run, scaled(ms), ...all)) as typeof setTimeout;
  globalThis.setInterval = ((run: () => void, ms?: number, ...all: []) =>
    interval(run, scaled(ms), ...all)) as typeof setInterval;
  AbortSignal.timeout = (ms) => abortAfter(Math.ceil(ms / speed));
  Bun.sleep = (until) => sleep(typeof until === "number" && until >= SHORT_MS ? until / speed : until);
}
