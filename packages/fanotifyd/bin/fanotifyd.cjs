#!/usr/bin/env node
// The `fanotifyd` command: looks at Node's version, then hands over to dist/.

require('./node-version.cjs');
import('../dist/main.js');
