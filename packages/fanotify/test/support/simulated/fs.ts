// What takes the place of node:fs where the library's tests run on the simulated machine: re-exports, nothing else.

import * as entries from './fs-entries.ts';
import * as files from './fs-files.ts';
import * as promises from './fs-promises.ts';
import * as status from './fs-status.ts';

export * from './fs-entries.ts';
export * from './fs-files.ts';
export * from './fs-status.ts';
export { promises };
export const { constants } = process.getBuiltinModule('fs');
// biome-ignore lint/style/noDefaultExport: as node:fs has one.
export default { ...entries, ...files, ...status, promises, constants };
