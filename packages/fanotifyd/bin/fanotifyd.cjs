#!/usr/bin/env node
// The `fanotifyd` command: looks at Node's version, and whether it is built, then hands over to dist/.

require('./node-version.cjs');

const path = require('node:path');
const { existsSync } = require('node:fs');

if (!existsSync(path.join(__dirname, '../dist/main.js'))) {
  console.error(`fanotifyd is not built yet: run 'npm run set-up' in ${path.join(__dirname, '../../..')}.`);
  process.exit(1);
}
import('../dist/main.js');
