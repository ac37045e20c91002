/** What a list of a fleet lacks. */
import { z } from "zod";

/** The names of the nodes that did not answer, so that what they have is missing in a list; absent when all answered. */
export const missingNodes = z.array(z.string()).optional();
