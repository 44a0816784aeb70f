// The program of the responder process: node responder-main.js, with the socket to its owner on descriptor 3. Not for people.

import { type Kernel, linuxKernel } from '../kernel/index.ts';
import { assembleResponder, comeToGrief } from './assemble.ts';
import type { ResponderConfig } from './config.ts';
import { errorToJson } from './errors.ts';
import type { Responder } from './responder.ts';
import { FRAME, FrameReader, jsonBody, jsonFrame } from './wire.ts';

const SOCKET = 3;

process.title = 'fanotify-responder';
// It goes when its owner has gone, and not before: a signal to all of a service's processes must leave nobody held. SIGIO is what
// a writer sends that opens a file during the look at its lease.
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2', 'SIGIO'] as const)
  process.on(signal, () => undefined);

const kernel = linuxKernel();
const config = readConfig(kernel);
if (config) process.exit(await respond(kernel, config));

async function respond(kernel: Kernel, config: ResponderConfig): Promise<number> {
  let responder: Responder | undefined;
  try {
    const ownerPidfd = kernel.pidfdOpen(config.ownerPid);
    // It has ended already, and its number may be another's.
    if (process.ppid !== config.ownerPid) return 0;
    const place = {
      kernel,
      socket: SOCKET,
      ownerPidfd,
      withOwner: <T>(something: Promise<T>) => withOwner(kernel, something),
    };
    responder = await assembleResponder(place, config);
    if (!responder) return 0;
  } catch (error) {
    kernel.write(SOCKET, jsonFrame(FRAME.failed, errorToJson(error)));
    return 1;
  }
  try {
    responder.run();
    return 0;
  } catch (error) {
    comeToGrief(responder, error);
    return 1;
  }
}

/** Waits for something that may never come, as long as the owner does: all it has to say meanwhile is that it does no longer. */
async function withOwner<T>(kernel: Kernel, something: Promise<T>): Promise<T> {
  const owner = kernel.onReadable(SOCKET, () => process.exit(0));
  owner.unref();
  try {
    return await something;
  } finally {
    owner.close();
  }
}

/** The first frame; undefined when the owner ended before it was sent, or closed the guard at once. */
function readConfig(kernel: Kernel): ResponderConfig | undefined {
  let config: ResponderConfig | undefined;
  let isClosed = false;
  const frames = new FrameReader((type, body) => {
    if (type === FRAME.config) config = jsonBody(body) as ResponderConfig;
    else isClosed = true;
  });
  const buffer = Buffer.alloc(64 * 1024);
  while (!config) {
    const length = kernel.read(SOCKET, buffer);
    if (length === 0) return undefined;
    frames.push(buffer.subarray(0, length));
  }
  return isClosed ? undefined : config;
}
