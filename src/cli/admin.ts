/** The admin server of the command. */
import { unlinkSync } from 'node:fs';
import { isStaleSocket, listenError } from '../engine/listen-error.ts';
import { startAdminServer } from '../observability/admin-server.ts';
import type { AdminOptions, AdminServer } from '../observability/admin-server.ts';
import { CommandError, EXIT } from './exit-codes.ts';

/** @throws CommandError that names the address and a remedy if it cannot be opened. */
export async function openAdminServer(options: AdminOptions): Promise<AdminServer> {
  const { listen } = options;
  try {
    return await startAdminServer(options);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    if (code === 'EADDRINUSE' && listen.kind === 'unix' && (await isStaleSocket(listen.path))) {
      unlinkSync(listen.path);
      return await startAdminServer(options);
    }
    throw new CommandError(`sniway: error: admin server: ${listenError(listen, code).message}`, EXIT.failure);
  }
}
