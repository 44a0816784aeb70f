// The library as a contestant: a guard of the file system of the working directory, until SIGINT; says how long it took until it was
// there, in which the responder is started. start-guard

import { guard } from 'fanotify';

const startedMs = performance.now();
const gate = await guard(process.cwd(), { decide: async () => 'allow' as const, scope: 'filesystem' });
console.log(JSON.stringify({ firstMs: performance.now() - startedMs }));
process.once('SIGINT', () => void gate.close());
