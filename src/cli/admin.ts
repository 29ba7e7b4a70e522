/** The admin server of the command: opened anew, or taken over from the process before. */
import { unlinkSync } from 'node:fs';
import type { InheritedSockets } from '../engine/inherited-sockets.ts';
import { describeTarget, isStaleSocket, listenError } from '../engine/listen-error.ts';
import { listenAtPath, removeSocketFile } from '../engine/socket-file.ts';
import { startAdminServer } from '../observability/admin-server.ts';
import type { AdminAddress, AdminOptions, AdminServer } from '../observability/admin-server.ts';
import { CommandError, EXIT } from './exit-codes.ts';

export interface CommandAdmin extends AdminServer {
  readonly listen: AdminAddress;
  /** As in AdminServer; with `keepsFile`, since another process has the socket, the file of a Unix-domain one stays. */
  close(keepsFile?: boolean): Promise<void>;
}

export interface CommandAdminOptions extends AdminOptions {
  readonly listen: AdminAddress;
  readonly inherited: InheritedSockets;
}

/** @throws CommandError that names the address and a remedy if it cannot be opened. */
export async function openAdminServer(options: CommandAdminOptions): Promise<CommandAdmin> {
  const { listen } = options;
  try {
    return await openOrRecover(options);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    throw new CommandError(`sniway: error: admin server: ${listenError(listen, code).message}`, EXIT.failure);
  }
}

async function openOrRecover(options: CommandAdminOptions): Promise<CommandAdmin> {
  const { listen, inherited } = options;
  const claimed = inherited.claim(listen);
  const [fd] = claimed?.fds ?? [];
  if (claimed !== null && fd !== undefined) {
    const where = inherited.of(fd)?.address ?? describeTarget(listen);
    const url = listen.kind === 'unix' ? where : `http://${where}`;
    const server = await startAdminServer({ ...options, listen: { kind: 'fd', fd, url } });
    return withFile(server, listen, claimed.isOurs);
  }
  if (listen.kind === 'tcp') return withFile(await startAdminServer(options), listen, false);
  try {
    return await openAtPath(options, listen.path);
  } catch (error) {
    const inUse = error instanceof Error && 'code' in error && error.code === 'EADDRINUSE';
    if (!inUse || !(await isStaleSocket(listen.path))) throw error;
    unlinkSync(listen.path);
    return await openAtPath(options, listen.path);
  }
}

async function openAtPath(options: CommandAdminOptions, path: string): Promise<CommandAdmin> {
  let server: AdminServer | null = null;
  await listenAtPath(path, async bound => {
    server = await startAdminServer({ ...options, listen: { kind: 'unix', path: bound } });
  });
  return withFile({ ...server!, url: `unix:${path}` }, options.listen, true);
}

function withFile(server: AdminServer, listen: AdminAddress, ownsFile: boolean): CommandAdmin {
  let ownsStill = ownsFile;
  return {
    ...server,
    listen,
    async close(keepsFile = false) {
      ownsStill &&= !keepsFile;
      await server.close();
      if (ownsStill && listen.kind === 'unix') removeSocketFile(listen.path);
      ownsStill = false;
    },
  };
}
