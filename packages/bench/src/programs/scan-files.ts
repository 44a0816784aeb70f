// The library as a contestant: has what is opened on the file system of the working directory scanned, until SIGINT, then says how many
// scans there were. scan-files SOCKET

import { scan } from 'fanotify';

const gate = await scan(process.cwd(), {
  clamd: process.argv[2] ?? '',
  scope: 'filesystem',
  onTimeout: 'deny',
  onError: 'deny',
});
process.once('SIGINT', async () => {
  const { byCache, ignored, timedOut, failed, scanner } = await gate.status();
  await gate.close();
  const decisions = (scanner?.clean ?? 0) + (scanner?.found ?? 0);
  console.log(JSON.stringify({ decisions, cached: byCache, ignored, failures: timedOut + failed }));
});
