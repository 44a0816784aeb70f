#!/usr/bin/env node
// The `fanotify` command: looks at Node's version, and whether it is built, then hands over to the command line of dist/.
// Committed rather than built, so that npm links it on a clean clone and the sentence about an old Node comes first.

require('./node-version.cjs');

const path = require('node:path');
const { existsSync } = require('node:fs');

if (!existsSync(path.join(__dirname, '../dist/cli/main.js'))) {
  console.error(`fanotify is not built yet: run 'npm run set-up' in ${path.join(__dirname, '../../..')}.`);
  process.exit(1);
}
import('../dist/cli/main.js');
