/** Secrets that are compared, never looked up: the time a comparison takes tells nothing about them. */
import { createHash, randomBytes, timingSafeEqual } from "node:crypto";

/** A new token, 256 bits. */
export const newToken = (): string => randomBytes(32).toString("base64url");

const digest = (text: string) => createHash("sha256").update(text).digest();

/** Compares in constant time; of equal length because of the digests. */
export const sameSecret = (one: string, other: string): boolean => timingSafeEqual(digest(one), digest(other));

/** The token of an `Authorization: Bearer …` header; null when there is none. */
export const bearer = (header: string | null | undefined): string | null =>
  /^Bearer +(\S+) *$/i.exec(header ?? "")?.[1] ?? null;
