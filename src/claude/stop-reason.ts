/** Why a model ends a message, in the words of Anthropic's API. */

/** Reasons for which it stops in the middle of its text; Claude Code lets it go on in another message. */
const CUT = ["max_tokens", "model_context_window_exceeded", "pause_turn"];

export const cutsText = (stopReason: string | null | undefined): boolean => CUT.includes(stopReason ?? "");
