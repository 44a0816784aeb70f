// The library as a contestant: says the path of the first event on the file system of the working directory.

import { Group } from 'fanotify';

const group = await Group.open();
await group.mark(process.cwd(), { scope: 'filesystem', events: ['open', 'closeWrite'] });
for await (const event of group) {
  if (event.kind !== 'file') continue;
  console.log(event.path);
  break;
}
await group.close();
