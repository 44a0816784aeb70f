// Nobody: what the others cost at least, being Node.js with a consumer.

import type { Watch } from './watch.ts';

export const watchTree: Watch = async () => undefined;
