// The daemon's configuration: its file read and checked, and what it says of one client.

import type { ClientPeer, Rights } from 'fanotify/broker';
import { ConfigError, type ConfigProblem, ConfigText, type Spot } from './config-text.ts';
import { type ConfiguredGrant, grantsOf } from './grants.ts';
import { limitsBy, limitsOf, USUAL_LIMITS, type UserLimits } from './limits.ts';
import { readTrusted } from './trusted-file.ts';
import { Accounts, integer, mode, oneOf, socketPath } from './values.ts';

export const DEFAULT_FILE = '/etc/fanotifyd.yaml';
export const DEFAULT_ADMIN = '/run/fanotifyd/admin';
const DEFAULT_SOCKET = '/run/fanotifyd/socket';
const LEVELS = ['error', 'warn', 'info', 'debug'] as const;
const FORMATS = ['text', 'json'] as const;
const LOOPBACK = ['127.0.0.1', '::1'] as const;
const FIELDS = ['version', 'socket', 'admin', 'metrics', 'log', 'stuckAfterMs', 'limits', 'grants'] as const;

/** A socket that others connect to. */
export interface SocketPlace {
  readonly path: string;
  readonly mode: number;
  /** Whose it is beside the daemon's user's. */
  readonly gid: number | undefined;
}

export interface Config {
  readonly socket: SocketPlace;
  /** Where `fanotifyd status` asks: for the daemon's user alone. */
  readonly admin: string;
  readonly metrics: SocketPlace | { readonly address: (typeof LOOPBACK)[number]; readonly port: number } | undefined;
  readonly log: { readonly level: (typeof LEVELS)[number]; readonly format: (typeof FORMATS)[number] };
  /** A broker that says nothing for so long is killed, and another started. */
  readonly stuckAfterMs: number;
  readonly limits: UserLimits;
  readonly grants: readonly ConfiguredGrant[];
  readonly warnings: readonly ConfigProblem[];
}

/**
 * Reads a configuration from its file.
 *
 * @param doubtful What is to be done where somebody else than root could change the file: refused, or a warning.
 * @throws ConfigError with all that is wrong with it, each with its line, or that it cannot be read.
 */
export function loadConfig(file: string, doubtful: 'refuse' | 'warn' = 'refuse'): Config {
  const { text, doubts } = readTrusted(file);
  const severity = doubtful === 'refuse' ? 'error' : 'warning';
  const problems = doubts.map((message) => ({ line: 1, column: 1, message, severity, about: 'meaning' }) as const);
  return parseConfig(text, file, problems);
}

/** Checks a configuration that is given as text. */
export function parseConfig(
  source: string,
  file: string = DEFAULT_FILE,
  before: readonly ConfigProblem[] = [],
  accounts: Accounts = new Accounts(),
): Config {
  const text = new ConfigText(source);
  text.problems.unshift(...before);
  const config =
    text.hasErrors && text.problems.some(({ about }) => about === 'syntax') ? undefined : read(text, accounts);
  const problems = text.problems.toSorted((a, b) => a.line - b.line || a.column - b.column);
  if (!config || text.hasErrors) throw new ConfigError(file, problems);
  return { ...config, warnings: problems };
}

/** Where there is no file: nobody is granted anything. */
export function defaultConfig(): Config {
  return parseConfig('version: 1');
}

function read(text: ConfigText, accounts: Accounts): Omit<Config, 'warnings'> | undefined {
  if (text.isEmpty) return text.shape(text.root, "nothing is said here: a configuration begins with 'version: 1'");
  const fields = text.fields(text.root, 'a configuration', FIELDS);
  if (!fields) return undefined;
  if (!fields.version) text.shape(text.root, "a configuration begins with 'version: 1'");
  else if (text.scalar(fields.version) !== 1)
    text.shape(fields.version, "this daemon knows version 1: say 'version: 1'");
  const config = {
    socket: (fields.socket && socketOf(text, fields.socket, accounts)) ?? socketAt(DEFAULT_SOCKET, 0o666),
    admin: (fields.admin && socketPath(text, fields.admin)) ?? DEFAULT_ADMIN,
    metrics: fields.metrics && metricsOf(text, fields.metrics, accounts),
    log: logOf(text, fields.log),
    stuckAfterMs: (fields.stuckAfterMs && integer(text, fields.stuckAfterMs, 'stuckAfterMs', 200, 60_000)) ?? 5_000,
    limits: { ...USUAL_LIMITS, ...(fields.limits && limitsOf(text, fields.limits)) },
    grants: fields.grants ? grantsOf(text, fields.grants, accounts) : [],
  };
  const { socket, admin, metrics } = config;
  const said = { socket: socket.path, admin, metrics: metrics && 'path' in metrics ? metrics.path : undefined };
  checkApart(text, fields, said);
  return config;
}

/** Each socket is one: of two at the same path the second finds the first there. */
function checkApart(
  text: ConfigText,
  fields: { readonly [name in 'socket' | 'admin' | 'metrics']?: Spot },
  said: { readonly [name in 'socket' | 'admin' | 'metrics']: string | undefined },
): void {
  for (const [name, other] of [
    ['admin', 'socket'],
    ['metrics', 'socket'],
    ['metrics', 'admin'],
  ] as const) {
    if (said[name] === undefined || said[name] !== said[other]) continue;
    text.meaning(
      fields[name] ?? fields[other],
      `'${name}' and '${other}' are at the same path: say another for one of them`,
    );
  }
}

function socketAt(path: string, mode: number, gid?: number): SocketPlace {
  return { path, mode, gid };
}

function socketOf(text: ConfigText, node: Spot, accounts: Accounts): SocketPlace | undefined {
  const fields = text.fields(node, "'socket'", ['path', 'mode', 'group']);
  if (!fields) return undefined;
  return socketAt(
    (fields.path && socketPath(text, fields.path)) ?? DEFAULT_SOCKET,
    (fields.mode && mode(text, fields.mode)) ?? 0o666,
    fields.group && accounts.idOf(text, fields.group, 'group'),
  );
}

function metricsOf(text: ConfigText, node: Spot, accounts: Accounts): Config['metrics'] {
  const fields = text.fields(node, "'metrics'", ['socket', 'mode', 'group', 'address', 'port']);
  if (!fields) return undefined;
  if (fields.socket && (fields.port || fields.address)) {
    return text.shape(node, "metrics are told in one place: 'socket', or 'port'");
  }
  if (fields.socket) {
    const path = socketPath(text, fields.socket);
    const bits = (fields.mode && mode(text, fields.mode)) ?? 0o600;
    const gid = fields.group && accounts.idOf(text, fields.group, 'group');
    return path === undefined ? undefined : socketAt(path, bits, gid);
  }
  for (const name of ['mode', 'group'] as const) {
    if (fields[name]) text.shape(fields[name], `'${name}' is of a socket`);
  }
  if (!fields.port) return text.shape(node, "say where metrics are told: 'socket' and a path, or 'port' and a number");
  const port = integer(text, fields.port, 'port', 1, 65_535);
  const address = fields.address ? text.scalar(fields.address) : LOOPBACK[0];
  const known = LOOPBACK.find((one) => one === address);
  if (!known) text.shape(fields.address, "metrics are told to this machine alone: 'address' is 127.0.0.1 or '::1'");
  return known && port !== undefined ? { address: known, port } : undefined;
}

function logOf(text: ConfigText, node: Spot): Config['log'] {
  const fields = node ? text.fields(node, "'log'", ['level', 'format']) : undefined;
  return {
    level: (fields?.level && oneOf(text, fields.level, 'level', LEVELS)) ?? 'info',
    format: (fields?.format && oneOf(text, fields.format, 'format', FORMATS)) ?? 'text',
  };
}

/** What a client may do, and how many groups its user may have. */
export function rightsOf(
  { limits, grants }: Config,
  peer: ClientPeer,
): { readonly rights: Rights; readonly groups: number } {
  const memberOf = new Set([peer.gid, ...peer.groups]);
  const its = grants.filter(({ uids, gids }) => uids.includes(peer.uid) || gids.some((gid) => memberOf.has(gid)));
  const granted = (name: keyof UserLimits) => its.flatMap((grant) => grant.limits[name] ?? []);
  const { groups, ...most } = limitsBy((name) => {
    const said = granted(name);
    return said.length > 0 ? Math.max(...said) : limits[name];
  });
  const powers = its
    .map(({ grant }) => grant)
    .filter(({ all, decide, system, pids }) => all || decide || system || pids);
  return { rights: { peer, grants: powers, limits: most }, groups };
}

/** Parts that a daemon takes at its start alone, and that differ. */
export function needsRestart(from: Config, to: Config): string[] {
  return (['socket', 'admin', 'metrics'] as const).filter(
    (name) => JSON.stringify(from[name] ?? null) !== JSON.stringify(to[name] ?? null),
  );
}
