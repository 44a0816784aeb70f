// `npm start [-- arguments]`: sets up if need be, then becomes the `fanotify` command, in this same process, so that
// signals, the terminal and the exit code are the command's own.

const path = require('node:path');
const { setUp, root } = require('./set-up.cjs');

const command = path.join(root, 'packages/fanotify/bin/fanotify.cjs');

exports.start = function start(args) {
  setUp();
  // npm runs scripts in the package's root and says in INIT_CWD where the user was.
  const directory = process.env.INIT_CWD ?? process.cwd();
  process.chdir(directory);
  process.argv = [process.execPath, command, ...(args.length > 0 ? args : ['watch', '-r', directory])];
  require(command);
};
