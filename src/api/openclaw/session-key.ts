/** What OpenClaw's session key says of the chat. */

const ALONE = /^agent:[^:]+:(?:main$|dashboard:|(?:[^:]+:){0,2}(?:direct|dm):)/;
const WITH_OTHERS = /:(?:group|channel|room|thread|topic)(?::|$)/;

/** Whether a person is alone there with the agent. Of a key in no form that we know, it is not known. */
export const isDirectChat = (key: string): boolean => ALONE.test(key) && !WITH_OTHERS.test(key);
