// What is the case with a descriptor: poll(2).

export const POLL = { in: 1, pri: 2, out: 4, err: 8, hup: 16, nval: 32 } as const;

/** Told whether one has asked for them or not. */
export const ALWAYS_TOLD = POLL.err | POLL.hup | POLL.nval;
