// `npm test [-- file filters]`: sets up if need be, then runs vitest; as root inside a mount namespace of its own, so that
// no mount of a test is seen outside or left behind. Tests that mount look at FANOTIFY_PRIVATE_MOUNTS, which says so.

const os = require('node:os');
const path = require('node:path');
const { spawn, spawnSync } = require('node:child_process');
const { setUp, root } = require('./set-up.cjs');

const privateMounts = ['unshare', '--mount', '--propagation', 'private'];

exports.test = function test(args) {
  refuseUntestableNode();
  setUp();
  const vitest = path.join(root, 'node_modules/vitest/vitest.mjs');
  // The loader "runner" writes nothing: the checkout may belong to somebody else.
  const command = [process.execPath, vitest, 'run', '--configLoader', 'runner', ...args];
  // No guard of a test holds anything but file systems that tests have mounted: docs/deciding.md.
  const env = { ...process.env, FANOTIFY_GUARD_ONLY: [os.tmpdir(), '/tmp', '/run'].join(':') };
  if (process.getuid?.() === 0) {
    const tried = spawnSync(privateMounts[0], [...privateMounts.slice(1), 'true'], { encoding: 'utf8' });
    if (tried.status === 0) {
      command.unshift(...privateMounts);
      env.FANOTIFY_PRIVATE_MOUNTS = '1';
    } else {
      const reason = tried.error ? 'unshare(1) of util-linux is not here' : tried.stderr.trim();
      console.error(`No mount namespace of its own (${reason}): tests that mount are skipped.`);
    }
  }
  const child = spawn(command[0], command.slice(1), { cwd: root, env, stdio: 'inherit' });
  // Ctrl-C reaches vitest by itself, being of the same process group.
  process.on('SIGINT', () => {});
  for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  child.on('exit', (code, signal) => {
    if (signal === null) process.exit(code);
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  });
};

// vitest's bundler (rolldown) is stricter than the library: ^20.19.0 || >=22.12.0.
function refuseUntestableNode() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major !== 21 && !(major === 22 && minor < 12)) return;
  console.error(
    `fanotify runs on Node ${process.versions.node}, but vitest does not: its tests need 20.19, or 22.12 and newer.`,
  );
  process.exit(1);
}
