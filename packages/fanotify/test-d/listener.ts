// What the types of Listener refuse, and what they know: never run, only compiled.

import { Listener } from '../src/core/index.ts';

await using listener = await Listener.open({ priority: 1, events: ['open'], signal: AbortSignal.timeout(5) });
await listener.mark('/srv', { events: ['openPerm'], ignore: ['open'], scope: 'subtree' });
await listener.mark({ fd: 3 }, { events: ['open'] });
for await (const event of listener) {
  if (event.kind === 'overflow') continue;
  const path: string | null = event.path;
  if (event.kind === 'held') event.allow();
  // @ts-expect-error Nobody waits for an answer.
  else event.allow();
  // @ts-expect-error It is closed by the listener.
  event.fd = path?.length ?? null;
}
// @ts-expect-error A priority is a number.
await Listener.open({ priority: 'high' });
// @ts-expect-error What happens to names takes a Group.
await Listener.open({ events: ['create'] });
// @ts-expect-error A list.
await Listener.open({ events: 'open' });
// @ts-expect-error The signal, not who gives it.
await Listener.open({ signal: new AbortController() });
// @ts-expect-error A mark hears something.
await listener.mark('/srv');
// @ts-expect-error A mount can be gone by.
await listener.mark('/srv', { events: ['open'], scope: 'mount' });
// @ts-expect-error It goes with the mark.
await listener.unmark('/srv', { events: ['open'], directories: true });
