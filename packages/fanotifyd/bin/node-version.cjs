// Ends the process with one sentence when Node is older than package.json's "engines" asks for.
// Written in ES5 and required before anything else, so that every Node can read it.

var wanted = require('../package.json').engines.node.replace(/^>=/, '');

function isOlder(actual, least) {
  var a = actual.split('.').map(Number);
  var b = least.split('.').map(Number);
  if (a[0] !== b[0]) return a[0] < b[0];
  if (a[1] !== b[1]) return a[1] < b[1];
  return a[2] < b[2];
}

if (isOlder(process.versions.node, wanted)) {
  console.error(
    'fanotifyd needs Node ' +
      wanted +
      ' or newer, and this is Node ' +
      process.versions.node +
      ' (' +
      process.execPath +
      ').',
  );
  process.exit(1);
}
