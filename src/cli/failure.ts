/** A command cannot do what it is asked to do. The message says why, and what to do about it. */
export class Failure extends Error {
  override name = "Failure";
}
