/** Secrets that are compared, never looked up: the time a comparison takes tells nothing about them. */
import { randomBytes, timingSafeEqual } from "node:crypto";

/** A new token, 256 bits. */
export const newToken = (): string => randomBytes(32).toString("base64url");

/** A secret's SHA-256. Tables are keyed by it: how long a look-up takes tells something of a digest, which is no use. */
export const digest = (secret: string): string => Bun.CryptoHasher.hash("sha256", secret, "base64");

/** Compares what was brought with a secret's digest, in constant time. */
export const isSecret = (brought: string, expected: string): boolean =>
  timingSafeEqual(Buffer.from(digest(brought)), Buffer.from(expected));

/** The token of an `Authorization: Bearer …` header; null when there is none. */
export const bearer = (header: string | null | undefined): string | null =>
  /^Bearer +(\S+) *$/i.exec(header ?? "")?.[1] ?? null;
