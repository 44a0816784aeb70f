// A process that watches for a test, through @parcel/watcher or what has its face: told over IPC what to call, it tells what it is told.
// argv: the module.

const watcher = await import(process.argv[2]);
/** By number, since functions do not go over IPC. */
const callbacks = new Map();
const subscriptions = new Map();

function callback(number) {
  let fn = callbacks.get(number);
  if (!fn) {
    fn = (error, events) => process.send({ told: number, error: error && described(error), events });
    callbacks.set(number, fn);
  }
  return fn;
}

const calls = {
  subscribe: async (directory, fn, options) => {
    const subscription = await watcher.subscribe(directory, callback(fn), options);
    subscriptions.set(fn, subscription);
  },
  end: (fn) => subscriptions.get(fn).unsubscribe(),
  unsubscribe: (directory, fn, options) => watcher.unsubscribe(directory, callback(fn), options),
  writeSnapshot: (...args) => watcher.writeSnapshot(...args),
  getEventsSince: (...args) => watcher.getEventsSince(...args),
  // Of calls that types forbid: what is no array of arguments could not be sent.
  wrong: (name, args) => watcher[name](...args.map((arg) => (arg === 'function' ? () => undefined : arg))),
};

const described = ({ name, code, message }) => ({ name, code, message });

process.on('warning', ({ code, message }) => process.send({ warning: { code, message } }));
process.on('uncaughtException', (error) => process.send({ uncaught: described(error) }));
process.on('message', async ({ id, call, args }) => {
  try {
    process.send({ answered: id, value: await calls[call](...args) });
  } catch (error) {
    process.send({ answered: id, error: described(error) });
  }
});
process.send({ ready: Object.keys(watcher).sort() });
