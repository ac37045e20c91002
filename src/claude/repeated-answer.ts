/**
 * Stands before the repetition of a text that differs from what was shown of it: when the model's stream breaks off, Claude
 * Code repeats the request, and the model may write something else.
 */
export const REPEATED = "[synthesis: The connection to the model broke off. Claude has written its answer again.]\n\n";
