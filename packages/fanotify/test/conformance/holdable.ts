// Which operations a permission event can hold.

const HOLDABLE: ReadonlySet<string> = new Set([
  'open',
  'openclose',
  'opencloseMany',
  'read',
  'write',
  'exec',
  'spawn',
  'truncate',
  'truncatePath',
  'ftruncate',
  'fallocate',
  'mmapRead',
  'mmapWrite',
  'copyRange',
  'sendfile',
  'readdir',
  'fsync',
  'syncfs',
  'reclaim',
  'put',
]);

/** Whether it opens, reads, writes, truncates, maps or executes. */
export function couldBeHeld(op: string): boolean {
  return HOLDABLE.has(op);
}
