/** One thing the doctor looked at. */

export interface Check {
  readonly name: string;
  /** `warning`: it may work; `failed`: it will not. */
  readonly result: "ok" | "warning" | "failed";
  /** What was seen. */
  readonly found: string;
  /** What to do about it. */
  readonly advice?: string;
}

export const ok = (name: string, found: string): Check => ({ name, result: "ok", found });
export const warning = (name: string, found: string, advice: string): Check => ({
  name,
  result: "warning",
  found,
  advice,
});
export const failed = (name: string, found: string, advice: string): Check => ({
  name,
  result: "failed",
  found,
  advice,
});
