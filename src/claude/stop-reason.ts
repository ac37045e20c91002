/** Why the model ends a message, in the terms of Anthropic's API. */

/** Reasons for which a message ends in the middle of its text. Claude Code continues the text in another message. */
const CUT = ["max_tokens", "model_context_window_exceeded", "pause_turn"];

export const cutsText = (stopReason: string | null | undefined): boolean => CUT.includes(stopReason ?? "");
