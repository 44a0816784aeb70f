// The import walls between the rooms of packages/fanotify/src and between the packages: imports run one way.
// scripts/test/walls.test.ts shows that each rule bites.

const src = '^packages/fanotify/src/';

// From left to right; a room may import from those before it. Rooms that share a step do not see each other.
const steps = [
  ['abi'],
  ['kernel'],
  ['identity'],
  ['group'],
  ['scope'],
  ['decision'],
  ['watch', 'core'],
  ['proposal', 'client', 'broker'],
  ['cli'],
];
const rooms = steps.flat();

const oneWay = steps.flatMap((step, index) =>
  step.map((room) => {
    const notBefore = steps
      .slice(index)
      .flat()
      .filter((other) => other !== room);
    return {
      name: `one-way-${room}`,
      comment: `${room}/ imports only from the rooms before it`,
      severity: 'error',
      from: { path: `${src}${room}/` },
      to: { path: `${src}(${[...notBefore, 'simulated'].join('|')})/` },
    };
  }),
);

/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    ...oneWay,
    {
      name: 'abi-is-pure',
      comment: 'abi/ runs on any OS: it imports nothing outside itself, not even from Node',
      severity: 'error',
      from: { path: `${src}abi/` },
      to: { pathNot: `${src}abi/` },
    },
    {
      name: 'koffi-behind-the-seam',
      comment: 'native calls are made in kernel/ alone',
      severity: 'error',
      from: { path: '^packages/', pathNot: `${src}kernel/` },
      to: { path: '(^|/)koffi(/|$)' },
    },
    {
      name: 'simulated-sees-the-interface',
      comment: 'simulated/ knows abi/ and the interface of kernel/, nothing of Linux behind it',
      severity: 'error',
      from: { path: `${src}simulated/` },
      to: { path: src, pathNot: `${src}(simulated/|abi/|kernel/(kernel|error)\\.ts$)` },
    },
    {
      name: 'faces-are-for-outside',
      comment: 'a file directly in src/ is a public face: rooms do not import it, but for cli/',
      severity: 'error',
      from: { path: `${src}(${[...rooms, 'simulated'].filter((room) => room !== 'cli').join('|')})/` },
      to: { path: `${src}[^/]+$` },
    },
    {
      name: 'nobody-imports-cli',
      comment: 'cli/ is where everything ends',
      severity: 'error',
      from: { path: '^packages/', pathNot: `${src}cli/` },
      to: { path: `${src}cli/` },
    },
    {
      name: 'library-stands-alone',
      comment: 'the library knows no other package of the workspace',
      severity: 'error',
      from: { path: '^packages/fanotify/' },
      to: { path: '(^packages/(?!fanotify/)|(^|/)fanotify(d|-bench)(/|$))' },
    },
    {
      name: 'public-faces-only',
      comment: 'other packages import the library by its name, so only what it exports',
      severity: 'error',
      from: { path: '^packages/(bench|fanotifyd)/' },
      to: { path: '^packages/fanotify/', dependencyTypes: ['local'] },
    },
    {
      name: 'no-cycles',
      comment: 'a cycle is one idea cut in two at the wrong place',
      severity: 'error',
      from: { path: '^packages/', pathNot: `${src}simulated/` },
      to: { circular: true },
    },
    {
      name: 'no-cycles-in-what-runs',
      comment:
        "the simulated machine's structures name each other, as the kernel's do; what runs has an order all the same",
      severity: 'error',
      from: { path: `${src}simulated/` },
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
  ],
  options: {
    doNotFollow: { path: ['node_modules', '/dist/'] },
    // Imports of types count like any other.
    tsPreCompilationDeps: true,
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'node', 'default'] },
  },
};
