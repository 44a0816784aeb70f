// `npm start [-- arguments]`: sets up if need be, then becomes the `fanotify` command, in this same process, so that
// signals, the terminal and the exit code are the command's own.

const fs = require('node:fs');
const path = require('node:path');
const { setUp, root } = require('./set-up.cjs');

const command = path.join(root, 'packages/fanotify/bin/fanotify.cjs');

exports.start = function start(args) {
  setUp();
  // npm runs scripts in the package's root and says in INIT_CWD where the user was.
  const directory = process.env.INIT_CWD ?? process.cwd();
  process.chdir(directory);
  process.argv = [process.execPath, command, ...(args.length > 0 ? args : mainJob(directory))];
  require(command);
};

/** Who may see the whole system sees it; others what happens below the directory that they are in. */
function mainJob(directory) {
  return maySeeAll() ? ['trace'] : ['watch', '-r', directory];
}

// Root in a container may lack it.
const CAP_SYS_ADMIN = 21n;

function maySeeAll() {
  try {
    // In a user namespace of one's own everybody has all capabilities, and is root of nothing.
    if (fs.readFileSync('/proc/self/uid_map', 'latin1').trim().split(/\s+/).join(' ') !== '0 0 4294967295')
      return false;
    const [, effective] = /^CapEff:\s*([0-9a-f]+)$/m.exec(fs.readFileSync('/proc/self/status', 'latin1'));
    return ((BigInt(`0x${effective}`) >> CAP_SYS_ADMIN) & 1n) === 1n;
  } catch {
    return false;
  }
}
