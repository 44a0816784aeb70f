// node --import: as if @parcel/watcher were not installed.

import { register } from 'node:module';

register(
  `data:text/javascript,${encodeURIComponent(`
  export async function resolve(specifier, context, next) {
    if (specifier !== '@parcel/watcher') return next(specifier, context);
    throw Object.assign(new Error("Cannot find package '@parcel/watcher'"), { code: 'ERR_MODULE_NOT_FOUND' });
  }
`)}`,
);
