// Installs the dependencies and builds the library and the daemon, each only when stale: a look at two JSON files and at the sources'
// times tells, without starting npm or tsc. Under sudo both run as the checkout's owner, so that what they leave is the owner's.

const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { spawnSync } = require('node:child_process');

const root = path.dirname(__dirname);
const library = path.join(root, 'packages/fanotify');
const daemon = path.join(root, 'packages/fanotifyd');
const stamp = path.join(library, 'dist/.built');

exports.root = root;

/** Leaves the checkout installed and built, or ends the process with a sentence and exit code 1. */
exports.setUp = function setUp() {
  let install;
  let build;
  try {
    install = isInstallStale();
    build = install || isBuildStale();
  } catch (error) {
    if (error.code !== 'EACCES') throw error;
    fail(`${error.path} is not readable for ${userName()}: make it so, or clone into a directory of your own.`);
  }
  if (!build) return;

  const owner = fs.statSync(root);
  const asOwner = process.getuid?.() === 0 && owner.uid !== 0;
  refuseWhatCannotWork(owner, asOwner);
  console.error(install ? 'Setting up (once)…' : 'Building…');

  const identity = asOwner ? identityOf(owner) : { options: {}, end() {} };
  try {
    if (install) run('npm ci', npm(), identity);
    const began = new Date();
    // Which builds the library first: it is made of that.
    const built = fs.existsSync(daemon) ? daemon : library;
    run('tsc', [process.execPath, path.join(root, 'node_modules/typescript/bin/tsc'), '--build', built], identity);
    // The time at which tsc began: what is edited while it runs is newer than that, and built next time.
    fs.writeFileSync(stamp, '');
    fs.utimesSync(stamp, began, began);
    if (asOwner) fs.chownSync(stamp, owner.uid, owner.gid);
  } finally {
    identity.end();
  }
};

/** Whether node_modules holds something else than the lock asks for. npm writes its own list there last. */
function isInstallStale() {
  const wanted = readPackages(path.join(root, 'package-lock.json'));
  const present = readPackages(path.join(root, 'node_modules/.package-lock.json'));
  if (wanted === undefined) throw new Error('package-lock.json is missing');
  if (present === undefined) return true;
  return Object.entries(wanted).some(([name, entry]) => {
    if (!name.startsWith('node_modules/') && !name.includes('/node_modules/')) return false;
    const found = present[name];
    if (found === undefined) return !entry.optional && !entry.peer;
    return found.version !== entry.version || found.integrity !== entry.integrity;
  });
}

function readPackages(file) {
  try {
    return JSON.parse(fs.readFileSync(file, 'utf8')).packages;
  } catch (error) {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Whether a source, or what says how to build it, is newer than the last build. */
function isBuildStale() {
  const built = fs.statSync(stamp, { throwIfNoEntry: false })?.mtimeMs;
  if (built === undefined) return true;
  const packages = [library, daemon].filter((directory) => fs.existsSync(directory));
  const settings = packages.flatMap((directory) =>
    ['tsconfig.json', 'package.json'].map((name) => path.join(directory, name)),
  );
  return (
    [path.join(root, 'tsconfig.base.json'), ...settings].some((file) => fs.statSync(file).mtimeMs > built) ||
    packages.some((directory) => isTreeNewer(path.join(directory, 'src'), built))
  );
}

// Directories count too: their time changes when a file is added, renamed or removed.
function isTreeNewer(directory, time) {
  if (fs.statSync(directory).mtimeMs > time) return true;
  return fs.readdirSync(directory, { withFileTypes: true }).some((entry) => {
    const file = path.join(directory, entry.name);
    return entry.isDirectory() ? isTreeNewer(file, time) : fs.statSync(file).mtimeMs > time;
  });
}

function refuseWhatCannotWork(owner, asOwner) {
  const packages = [library, daemon];
  const made = packages.flatMap((directory) => ['node_modules', 'dist'].map((name) => path.join(directory, name)));
  for (const directory of [root, ...packages, path.join(root, 'node_modules'), ...made]) {
    const uid = fs.statSync(directory, { throwIfNoEntry: false })?.uid;
    if (uid === undefined) continue;
    if (asOwner ? uid !== owner.uid : !isWritable(directory)) {
      const name = passwdEntry(owner.uid)?.name ?? String(owner.uid);
      if (uid !== owner.uid)
        fail(
          `${directory} does not belong to ${name}, as the checkout does: run "sudo chown -R ${name}: ${root}", then try again.`,
        );
      fail(
        `this checkout is not set up for its present state, and it belongs to ${name}, so ${userName()} cannot do it: ` +
          `run "npm --prefix ${root} run set-up" as ${name}, or clone into a directory of your own.`,
      );
    }
  }
}

function isWritable(directory) {
  try {
    fs.accessSync(directory, fs.constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/** What makes a child run as the checkout's owner: ids, and an environment in which npm finds that user's own files. */
function identityOf(owner) {
  const entry = passwdEntry(owner.uid);
  const hasHome = entry !== undefined && fs.statSync(entry.home, { throwIfNoEntry: false })?.uid === owner.uid;
  const home = hasHome ? entry.home : fs.mkdtempSync(path.join(os.tmpdir(), 'fanotify-set-up-'));
  if (!hasHome) fs.chownSync(home, owner.uid, owner.gid);

  const env = { ...process.env, HOME: home, TMPDIR: '/tmp' };
  // The npm that started us names root's files here; the owner cannot read them, or would leave them unreadable for root.
  for (const name of Object.keys(env)) {
    if (/^npm_config_(cache|userconfig|init_module|prefix|local_prefix|global_prefix|logs_dir)$|^XDG_/i.test(name))
      delete env[name];
  }
  for (const name of ['USER', 'LOGNAME']) env[name] = entry?.name ?? String(owner.uid);
  return {
    options: { uid: owner.uid, gid: entry?.gid ?? owner.gid, env },
    end() {
      if (!hasHome) fs.rmSync(home, { recursive: true, force: true });
    },
  };
}

function passwdEntry(uid) {
  const line = fs
    .readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .find((text) => text.split(':')[2] === String(uid));
  if (line === undefined) return undefined;
  const [name, , , gid, , home] = line.split(':');
  return { name, gid: Number(gid), home };
}

function userName() {
  return passwdEntry(process.getuid())?.name ?? String(process.getuid());
}

// The npm that started us, so that the one asked for is the one used, even where PATH (sudo's, say) has none.
function npm() {
  const running = process.env.npm_execpath ?? '';
  const command = running.endsWith('npm-cli.js') ? [process.execPath, running] : ['npm'];
  // koffi and the tools bring their binaries in their packages: nothing needs an install script.
  return [...command, 'ci', '--ignore-scripts', '--include=dev', '--no-audit', '--no-fund', '--loglevel=error'];
}

function run(name, [command, ...args], identity) {
  const done = spawnSync(command, args, {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
    encoding: 'utf8',
    ...identity.options,
  });
  if (done.status === 0) return;
  process.stderr.write(`${done.stdout ?? ''}${done.stderr ?? ''}`);
  identity.end();
  const reason = done.error?.message ?? (done.signal ? `ended by ${done.signal}` : `exit code ${done.status}`);
  fail(`set-up stopped, since ${name} failed (${reason}).`);
}

function fail(sentence) {
  console.error(`fanotify: ${sentence}`);
  process.exit(1);
}
