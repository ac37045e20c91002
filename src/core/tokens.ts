/** Tokens and keys. They are compared by their digests, so that the time of a comparison reveals nothing about them. */
import { randomBytes, timingSafeEqual } from "node:crypto";

/** A new random token of 256 bits. */
export const newToken = (): string => randomBytes(32).toString("base64url");

/**
 * The SHA-256 of a secret. Maps are keyed by it: the time of a lookup may reveal something about the digest, but nothing
 * about the secret.
 */
export const digest = (secret: string): string => Bun.CryptoHasher.hash("sha256", secret, "base64");

/** Compares a candidate with the digest of a secret in constant time. */
export const isSecret = (candidate: string, expected: string): boolean =>
  timingSafeEqual(Buffer.from(digest(candidate)), Buffer.from(expected));

/** The token of an `Authorization: Bearer …` header; null if the header has none. */
export const bearer = (header: string | null | undefined): string | null =>
  /^Bearer +(\S+) *$/i.exec(header ?? "")?.[1] ?? null;
