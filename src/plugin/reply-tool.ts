/** The reply tool, with which Claude answers in tool mode. */
import { z } from "zod";

export const REPLY_TOOL = {
  name: "reply",
  description: "Sends text to the person in the chat. They see nothing else of what you write.",
  inputSchema: {
    type: "object",
    properties: {
      content: { type: "string", description: "The text." },
      final: {
        type: "boolean",
        description: "False for an interim message. True, or omitted, for the end of your answer.",
      },
    },
    required: ["content"],
  },
};

export const replyArguments = z.object({ content: z.string(), final: z.boolean().default(true) });
