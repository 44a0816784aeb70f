// What `npm start`, `npm test` and `npm run set-up` run: `node scripts/run.cjs start|test|set-up [arguments]`.
// It looks at Node's version before it requires anything that an old Node could not read.

require('../packages/fanotify/bin/node-version.cjs');

switch (process.argv[2]) {
  case 'start':
    require('./start.cjs').start(process.argv.slice(3));
    break;
  case 'test':
    require('./test.cjs').test(process.argv.slice(3));
    break;
  case 'set-up':
    require('./set-up.cjs').setUp();
    break;
  default:
    console.error('usage: node scripts/run.cjs start|test|set-up [arguments]');
    process.exit(1);
}
