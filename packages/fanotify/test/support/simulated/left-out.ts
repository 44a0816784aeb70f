// What of the library's tests does not run on the simulated kernel, and why: all else in the rooms below does, and so does each new test.

/** Which tests these are: those above the seam. */
export const ROOMS = '{group,scope,decision,core,watch,proposal,identity}';

/** Of the programs that tests let run there are only those of programs.ts. */
const RUNS_NODE = 'its other processes are programs of Node';
const COMPILES = 'its other processes are programs in C, compiled for it';
const LIBRARY_COPY = 'what it tests are the processes of a copy of the library';
const CLAMD = 'it runs clamd';
const WCHAN = 'it looks at where in the kernel somebody waits';
const TOO_MANY = 'it makes tens of thousands of events, only to see that nothing is left of them';
const FUSE = 'there is no FUSE';
const MODULES = 'it loads a module, which Node reads from the real disk';
const BELT = 'guards there have no belt: nobody real can be held';
const USER_NAMESPACES = 'its shell makes a user namespace';
const AIO = 'there are no asynchronous writes';
const OVERLAYS = 'there are no overlays';

/** These ask no kernel for anything but temporary files, or have kernels of their own making: once is enough. */
export const WITHOUT_MACHINE: readonly string[] = [
  'core/{attached,core,dispatch,holdings,marks,passage,queue,wire}.test.ts',
  'decision/{responder,table}.test.ts',
  'decision/policy/{check,evaluate,glob,load}.test.ts',
  'decision/scan/protocol.test.ts',
  'identity/{cgroup,processes}.test.ts',
  'proposal/sentences.test.ts',
  'scope/{coverage,places}.test.ts',
  'watch/{baseline,changing-places,difference,snapshot}.test.ts',
  'watch/parcel/{gathering,ignoring}.test.ts',
];

/** Files that are left out as a whole, by path in `test/`. */
export const FILES_LEFT_OUT: Readonly<Record<string, string>> = {
  'core/older-kernels.test.ts': LIBRARY_COPY,
  'decision/older-kernels.test.ts': LIBRARY_COPY,
  'decision/failure-policy.test.ts': RUNS_NODE,
  'decision/settling.test.ts': FUSE,
  'decision/subtree-slip.test.ts': COMPILES,
  'decision/scan/{failures,scan}.test.ts': CLAMD,
  'watch/churn.test.ts': RUNS_NODE,
  'watch/fallback.test.ts': RUNS_NODE,
  'watch/parcel/{packaging,since,subscribe}.test.ts': RUNS_NODE,
};

/** Single tests, by file, and in it by the beginning of their full name ('suite > test'). */
export const LEFT_OUT: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'core/listener.test.ts': { 'a listener > in a worker thread': 'another thread has another machine' },
  'core/listeners.test.ts': {
    ...bothOf(
      (type) =>
        `listeners on '${type}' > that ignore a file > leave others to be asked where the file cannot be found again`,
      OVERLAYS,
    ),
    ...bothOf((type) => `listeners on '${type}' > whose process is killed`, RUNS_NODE),
    ...bothOf((type) => `listeners on '${type}' > that do not read are told that they have lost something`, RUNS_NODE),
    ...bothOf(
      (type) =>
        `listeners on '${type}' > of a directory > are asked about what is renamed out of it while its open is held`,
      WCHAN,
    ),
    ...bothOf((type) => `listeners on '${type}' > of a directory > are asked about it also where another asks`, WCHAN),
    ...bothOf((type) => `listeners on '${type}' > of everything hold what the belt admits`, RUNS_NODE),
    'a mark is of no file that has the number of one that is gone': 'no number of an inode is given again',
  },
  'decision/bad-input.test.ts': {
    'as root > a decide module that throws': MODULES,
    'as root > a decide module that exports': MODULES,
  },
  'decision/leases.test.ts': {
    'a guard > survives writers who open files while it looks':
      'its 100,000 truncations in a row are over before anybody else runs',
  },
  'decision/lifecycle.test.ts': {
    'a guard > whose decide module is never loaded': MODULES,
    'a guard > that is not to keep its process alive': RUNS_NODE,
  },
  'decision/policy/guarding.test.ts': {
    'rules > allow nothing by a path that a user has made up': USER_NAMESPACES,
    'rules > see names that are no text': 'its shell is bash, which takes bytes in hexadecimal',
  },
  'decision/subtree.test.ts': {
    'a subtree on tmpfs > holds nobody when its responder is killed': WCHAN,
    'a subtree on ext4 > holds nobody when its responder is killed': WCHAN,
    'a subtree on xfs > holds nobody when its responder is killed': WCHAN,
    'a subtree on btrfs > holds nobody when its responder is killed': WCHAN,
    'a subtree > cannot be a file, nothing, or everything': OVERLAYS,
    'while nobody decides > nobody outside is denied when a decide module':
      'its module never comes back, and the responder is in this very process',
  },
  'decision/system-scope.test.ts': {
    'what would be held > is only what is mounted below the belt': BELT,
    'a guard of the system > is refused by the belt': BELT,
  },
  'decision/verdict-cache.test.ts': {
    'a guard of ext4 > asks about a file that is changed through an overlay': OVERLAYS,
    'a guard of ext4 > trusting root > keeps no verdict while somebody may write: held-aio': AIO,
    'a guard of ext4 > trusting nobody > keeps no verdict while somebody may write: held-aio': AIO,
    'a guard keeps nothing > of an overlay': OVERLAYS,
    'a guard keeps nothing > where times are in seconds': 'each of its file systems keeps nanoseconds',
  },
  'group/descriptors.test.ts': { 'descriptors > none is left after thousands of events': TOO_MANY },
  'group/lifecycle.test.ts': { processes: RUNS_NODE },
  'group/who.test.ts': {
    'who did it > is told with the user that it has become': RUNS_NODE,
    'who did it > is told to root alone, and says so': RUNS_NODE,
  },
  'scope/everywhere.test.ts': {
    'listenEverywhere() > misses none of 200 mounts': 'it looks at how much time the scheduler has given it',
    'listenEverywhere() > leaves FUSE alone': FUSE,
    'listenEverywhere() > hears what an ordinary user mounts in a namespace of his own': USER_NAMESPACES,
  },
  'watch/listing.test.ts': { 'directories that may not be read': RUNS_NODE },
  'watch/loss.test.ts': { 'a process that is stopped': RUNS_NODE },
};

/** Of tests that run on two types of file system. */
function bothOf(nameOf: (type: string) => string, why: string): Record<string, string> {
  return Object.fromEntries(['tmpfs', 'ext4'].map((type) => [nameOf(type), why]));
}
