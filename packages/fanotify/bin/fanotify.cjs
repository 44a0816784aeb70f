#!/usr/bin/env node
// The `fanotify` command: looks at Node's version, then hands over to the command line of dist/.
// Committed rather than built, so that npm links it on a clean clone and the sentence about an old Node comes first.

require('./node-version.cjs');
import('../dist/cli/main.js');
