/**
 * Preloaded into a program under test: time runs faster in it, and a test can set its clock. So a test need not wait
 * for timeouts of seconds, and can act as if the machine had slept. All programs of one test read the speed and the
 * clock from one mapped file, so their clocks agree.
 */

/** The index of each number in the file. */
const AT = { speed: 0, beginning: 1, jumped: 2 } as const;

/** Shorter timers than this, in ms, keep their length: they wait for the machine, which is not faster. */
const SHORT_MS = 100;

/** Creates the file for one test. @param speed how many times faster than real time its time runs */
export async function createClock(file: string, speed: number) {
  const numbers = new Float64Array(512);
  numbers.set([speed, Date.now(), 0]);
  await Bun.write(file, numbers);
  const page = open(file);
  return {
    env: { TEST_CLOCK: file },
    /** Sets the clock without any time passing. @param ms negative for back */
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
