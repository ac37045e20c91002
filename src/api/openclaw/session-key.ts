/** What OpenClaw's session key says about the kind of chat. */

const DIRECT = /^agent:[^:]+:(?:main$|dashboard:|(?:[^:]+:){0,2}(?:direct|dm):)/;
const GROUP = /:(?:group|channel|room|thread|topic)(?::|$)/;

/** Whether the chat has only one person in it. False for a key in an unknown form. */
export const isDirectChat = (key: string): boolean => DIRECT.test(key) && !GROUP.test(key);
