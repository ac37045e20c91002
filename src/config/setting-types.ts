/**
 * The types of settings. A value comes from JSON in the file, and as text from the environment and the command line, so
 * that each type also accepts text. An error names the expected type and the given value.
 */
import { z } from "zod";
import { parseListenAddress } from "./listen-address.ts";
import { expandHome } from "./paths.ts";

const expected =
  (what: string) =>
  ({ input }: { input?: unknown }) =>
    `expected ${what}, not ${JSON.stringify(input) ?? "nothing"}`;

/** A whole number. @param unit for errors, such as ` of days` */
export const wholeNumber = (min: number, max: number, unit = "") => {
  const error = expected(`a whole number${unit} from ${min} to ${max}`);
  return z.preprocess(
    (value) => {
      const parsed = typeof value === "string" && value.trim() !== "" ? Number(value) : value;
      // An error then quotes the text as it was given.
      return Number.isNaN(parsed) ? value : parsed;
    },
    z.int({ error }).min(min, { error }).max(max, { error }),
  );
};

/** JavaScript timers with a longer delay, in ms, fire at once. */
const MAX_TIMER_MS = 2 ** 31 - 1;

export const milliseconds = (min: 0 | 1) => wholeNumber(min, MAX_TIMER_MS, " of milliseconds");

export const megabytes = wholeNumber(1, 2 ** 31 - 1, " of megabytes");

export const boolean = z.union([z.boolean(), z.stringbool()], { error: expected("true or false") });

export const oneOf = <const T extends readonly string[]>(values: T) =>
  z.enum(values, { error: expected(`one of ${values.join(", ")}`) });

export const text = z.string({ error: expected("text") }).min(1, { error: expected("text") });

/** A secret, which errors must not quote. */
export const secret = (minLength: number) => {
  const error = `expected text of at least ${minLength} characters`;
  return z.string({ error }).min(minLength, { error });
};

/** The address of a web service, or an empty text for none. It may hold a secret, so errors do not quote it. */
export const secretAddress = (example: string) => {
  const error = `expected an address such as ${example}`;
  return z
    .string({ error })
    .refine((value) => value === "" || /^https?:$/.test(URL.parse(value)?.protocol ?? ""), { error });
};

/** The address of a Postgres database. It may hold a password, so errors do not quote it. */
export const postgresAddress = z
  .string({ error: expected("an address") })
  .refine((value) => /^postgres(?:ql)?:$/.test(URL.parse(value)?.protocol ?? ""), {
    error:
      "expected an address such as postgres://user:password@host/database, or …/database?host=/folder for a socket",
  });

/** The address of another server, with TLS. */
export const httpsOrigin = z
  .string({ error: expected("an address") })
  .refine((value) => URL.parse(value)?.protocol === "https:" && URL.parse(value)?.pathname === "/", {
    error: "expected an address such as https://10.0.0.5:18991, without a path",
  })
  .transform((value) => new URL(value).origin);

/** A file or folder. A shell does not expand a `~` in quotes, in JSON or after a colon, so this type does. */
export const path = z
  .string({ error: expected("a path") })
  .min(1, { error: expected("a path") })
  .transform(expandHome);

/** An address to listen on. */
export const listenAddress = z.string({ error: expected("an address") }).transform((value, context) => {
  const address = parseListenAddress(value);
  if (address) return address;
  const message = `expected host:port, such as 0.0.0.0:8080 or [::]:8080, or the path of a Unix socket, not ${JSON.stringify(value)}`;
  context.issues.push({ code: "custom", message, input: value });
  return z.NEVER;
});

/** The name, and perhaps the port, by which clients reach the server. */
export const host = z
  .string({ error: expected("the name of a host") })
  .regex(/^(?:[\w.-]+|\[[\da-f:]+\])(?::\d{1,5})?$/i, {
    error: expected("the name of a host, such as chat.example.com"),
  })
  .toLowerCase();

/** The origin of web pages. A `*` would let every page on the internet send requests. */
export const origin = z
  .string({ error: expected("an origin") })
  .regex(/^[a-z][\w.+-]*:\/\/[^/*]+$/i, {
    error: expected("an origin, such as https://app.example.com, without a path"),
  })
  .toLowerCase();

/** A list. As text its items are separated by `separator`. */
export const list = <T extends z.ZodType>(separator: string | RegExp, item: T) =>
  z.preprocess(
    (value) => (typeof value === "string" ? value.split(separator).filter((part) => part !== "") : value),
    z.array(item, { error: expected("a list") }),
  );

/** An object from names to values. As text it is JSON. */
export const record = <V extends z.ZodType>(value: V, example: string) =>
  z.preprocess(
    (input, context) => {
      if (typeof input !== "string") return input;
      try {
        return JSON.parse(input);
      } catch {
        // The message of the syntax error would quote the text.
        context.issues.push({ code: "custom", message: "expected JSON", input });
        return z.NEVER;
      }
    },
    z.record(z.string().min(1), value, { error: expected(`an object such as ${example}`) }),
  );
