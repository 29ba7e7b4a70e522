/** What stands in the way of a sound configuration on this machine: folders, files, open files, ports. */
import { lstatSync, readFileSync, statSync } from 'node:fs';
import { createServer } from 'node:net';
import { dirname } from 'node:path';
import { systemHostsFile } from '../backends/hosts-file.ts';
import type { CheckedConfig } from '../config/check-config.ts';
import type { SpottedProblem } from '../config/findings.ts';
import { quote } from '../config/plain-text.ts';
import type { ListenTarget } from '../engine/engine.ts';
import { listenError } from '../engine/listen-error.ts';
import { DESCRIPTORS_OF_ITS_OWN, PIPES_MAX, SPARE_DESCRIPTORS } from '../limits.ts';

/** A client, and the backend it is relayed to. */
const DESCRIPTORS_PER_CONNECTION = 2;

/** What is missing, or too little, without anything being opened. */
export function findMachineProblems(config: CheckedConfig): SpottedProblem[] {
  return [
    ...findListenFolders(config),
    ...findBackendFolders(config),
    ...findHostsFile(config),
    ...findFewFiles(config),
  ];
}

/** What keeps listeners from being opened, found by opening and closing each that has a port. */
export async function findBindProblems(config: CheckedConfig): Promise<SpottedProblem[]> {
  const found = await Promise.all(
    doorsOf(config).map(async ({ target, path }) => {
      const code = await tryToListen(target);
      return code === null ? [] : [problemOf(path, listenError(target, code).message)];
    }),
  );
  return found.flat();
}

interface Door {
  readonly target: ListenTarget;
  readonly path: SpottedProblem['path'];
}

/** Everything that is listened on, and where it stands in the configuration. */
function doorsOf({ listen, admin }: CheckedConfig): Door[] {
  const doors = listen.map((target, index): Door => ({ target, path: ['listen', index] }));
  return admin === null ? doors : [...doors, { target: admin, path: ['admin', 'listen'] }];
}

function findListenFolders(config: CheckedConfig): SpottedProblem[] {
  return doorsOf(config).flatMap(({ target, path }) => {
    if (target.kind !== 'unix') return [];
    const isAbsent = !isFolder(dirname(target.path));
    const stats = lstatSync(target.path, { throwIfNoEntry: false });
    const isInTheWay = stats !== undefined && !stats.isSocket();
    const code = isAbsent ? 'ENOENT' : isInTheWay ? 'EADDRINUSE' : null;
    return code === null ? [] : [problemOf(path, listenError(target, code).message)];
  });
}

/** A socket file comes and goes with its server, its folder is there before. */
function findBackendFolders({ routes }: CheckedConfig): SpottedProblem[] {
  return routes.flatMap(({ action }, route) => {
    const backends = action.kind === 'relay' ? action.pool.backends : [];
    return backends.flatMap(({ backend }, index) => {
      if (backend.kind !== 'unix' || isFolder(dirname(backend.path))) return [];
      const message = `there is no folder ${quote(dirname(backend.path))} for the socket of this backend: create it, or mend the path`;
      const place = backends.length === 1 ? ['backend'] : ['backends', index];
      return [warningOf(['routes', route, ...place], message)];
    });
  });
}

function findHostsFile({ resolver }: CheckedConfig): SpottedProblem[] {
  const { hostsFile } = resolver;
  // The system's own may be missing: containers often have none.
  if (hostsFile === null || hostsFile === systemHostsFile() || isThere(hostsFile)) return [];
  const message = `there is no file ${quote(hostsFile)}: create it, or write hosts: none`;
  return [warningOf(['resolver', 'hosts'], message)];
}

/** Whether the process may open as many files as its connections take. */
function findFewFiles({ limits, pending, listen, workers }: CheckedConfig): SpottedProblem[] {
  const allowed = openFilesMax();
  const configured = limits?.all?.connections ?? null;
  const connections = configured ?? pending.all;
  const own =
    DESCRIPTORS_OF_ITS_OWN + listen.length * workers + workers * (2 * PIPES_MAX + SPARE_DESCRIPTORS);
  const needed = DESCRIPTORS_PER_CONNECTION * connections + own;
  if (allowed === null || needed <= allowed) return [];
  const key = configured === null ? 'pendingHellos' : 'connections';
  const message =
    `${connections} connections can take ${needed} open files, and this process may have ${allowed}: ` +
    `allow more (ulimit -Hn ${needed}, LimitNOFILE=${needed}), or lower limits.${key}`;
  return [warningOf(['limits', key], message)];
}

/** Node raises the soft limit to the hard one when it starts; null where the system does not tell. */
function openFilesMax(): number | null {
  try {
    const found = /^Max open files +(\S+)/m.exec(readFileSync('/proc/self/limits', 'latin1'));
    const allowed = Number(found?.[1] ?? NaN);
    return Number.isNaN(allowed) ? null : allowed;
  } catch {
    return null;
  }
}

/** The code of the system's error, or null if it can be listened on. Socket files and inherited sockets are let be. */
async function tryToListen(target: ListenTarget): Promise<string | null> {
  if (target.kind !== 'tcp' || target.port === 0) return null;
  const code = await tryPort(target.address, target.port);
  // The engines go without IPv6 where there is none.
  return code === 'EAFNOSUPPORT' && target.address === '::' ? await tryPort('0.0.0.0', target.port) : code;
}

function tryPort(host: string, port: number): Promise<string | null> {
  return new Promise(resolve => {
    const server = createServer();
    server.once('error', error => resolve('code' in error ? String(error.code) : error.message));
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(null)));
  });
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}

function isThere(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false }) !== undefined;
}

function problemOf(path: SpottedProblem['path'], message: string): SpottedProblem {
  return { path, message, severity: 'error' };
}

function warningOf(path: SpottedProblem['path'], message: string): SpottedProblem {
  return { path, message, severity: 'warning' };
}
