// Status and metrics over HTTP: on a Unix socket for the daemon's user alone, and metrics also where the configuration says.

import { chownSync, unlinkSync } from 'node:fs';
import { createServer, request, type Server } from 'node:http';
import type { Kernel } from 'fanotify/kernel';
import type { Config, SocketPlace } from './config/config.ts';
import { ListenError, makeRoom } from './listening.ts';
import { METRICS_TYPE, metricsText } from './metrics.ts';
import type { DaemonStatus } from './status.ts';

const MOST_CONNECTIONS = 16;
const REQUEST_MS = 5_000;
const MOST_STATUS_BYTES = 64 * 1024 * 1024;

type Page = () => Promise<{ readonly type: string; readonly text: string }>;

/** Servers that answer until they are closed. */
export class Admin {
  readonly #servers: Server[] = [];
  readonly #kernel: Kernel;
  readonly #pages: Readonly<Record<'/status' | '/metrics', Page>>;

  constructor(kernel: Kernel, status: () => Promise<DaemonStatus>) {
    this.#kernel = kernel;
    this.#pages = {
      '/status': async () => ({ type: 'application/json', text: `${JSON.stringify(await status())}\n` }),
      '/metrics': async () => ({ type: METRICS_TYPE, text: await metricsText(await status()) }),
    };
  }

  /**
   * Begins to answer.
   *
   * @throws ListenError where it cannot listen.
   */
  async open({ admin, metrics }: Pick<Config, 'admin' | 'metrics'>): Promise<void> {
    await this.#atSocket({ path: admin, mode: 0o600, gid: undefined }, this.#pages);
    if (!metrics) return;
    const only = { '/metrics': this.#pages['/metrics'] };
    if ('path' in metrics) await this.#atSocket(metrics, only);
    else await this.#listen(only, { host: metrics.address, port: metrics.port }, `${metrics.address}:${metrics.port}`);
  }

  close(): void {
    for (const server of this.#servers) {
      server.close();
      server.closeAllConnections();
    }
  }

  async #atSocket({ path, mode, gid }: SocketPlace, pages: Readonly<Record<string, Page>>): Promise<void> {
    makeRoom(this.#kernel, path);
    // It is never open to more than it is to be: bind(2) is made in listen().
    const before = process.umask(~mode & 0o777);
    try {
      await this.#listen(pages, { path }, path, () => process.umask(before));
    } finally {
      process.umask(before);
    }
    if (gid !== undefined) chownSync(path, -1, gid);
    process.once('exit', () => {
      try {
        unlinkSync(path);
      } catch {
        // It has been closed, which removes it.
      }
    });
  }

  #listen(
    pages: Readonly<Record<string, Page>>,
    place: { readonly path: string } | { readonly host: string; readonly port: number },
    name: string,
    begun: () => void = () => undefined,
  ): Promise<void> {
    const server = createServer((asked, answer) => {
      const page = Object.hasOwn(pages, asked.url ?? '') ? pages[asked.url ?? ''] : undefined;
      if (!page || (asked.method !== 'GET' && asked.method !== 'HEAD')) {
        answer
          .writeHead(page ? 405 : 404, { 'content-type': 'text/plain' })
          .end(`there is ${Object.keys(pages).join(', ')}\n`);
        return;
      }
      page().then(
        ({ type, text }) => answer.writeHead(200, { 'content-type': type }).end(text),
        (error: unknown) => answer.writeHead(500, { 'content-type': 'text/plain' }).end(`${String(error)}\n`),
      );
    });
    server.maxConnections = MOST_CONNECTIONS;
    server.requestTimeout = REQUEST_MS;
    server.headersTimeout = REQUEST_MS;
    return new Promise((resolve, reject) => {
      server.once('error', (error: NodeJS.ErrnoException) =>
        reject(new ListenError(`cannot listen at ${name}: ${error.code ?? error.message}`, { cause: error })),
      );
      server.listen(place, () => {
        this.#servers.push(server);
        resolve();
      });
      begun();
    });
  }
}

/**
 * Asks a running daemon for its status.
 *
 * @param path Its admin socket.
 */
export function askStatus(path: string): Promise<DaemonStatus> {
  return new Promise((resolve, reject) => {
    const asked = request({ socketPath: path, path: '/status', timeout: 2 * REQUEST_MS }, (answer) => {
      const chunks: Buffer[] = [];
      let bytes = 0;
      answer.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
        chunks.push(chunk);
        if (bytes > MOST_STATUS_BYTES) asked.destroy(new Error('it says too much'));
      });
      answer.once('end', () => {
        const text = Buffer.concat(chunks).toString();
        if (answer.statusCode === 200) resolve(JSON.parse(text) as DaemonStatus);
        else reject(new Error(`it answers ${answer.statusCode}: ${text.trim()}`));
      });
    });
    asked.once('timeout', () => asked.destroy(new Error('it does not answer')));
    asked.once('error', reject);
    asked.end();
  });
}
