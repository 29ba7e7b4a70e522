/**
 * Tells the service manager how the proxy is doing (sd_notify(3)): ready, reloading, stopping, alive. Its socket takes
 * datagrams, which Node cannot send: the kernel is called where the linux engine could, and `systemd-notify` elsewhere.
 */
import { execFile } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import { loadKernel } from '../engine/linux/syscalls/load-kernel.ts';
import { createDatagramSender } from '../engine/linux/syscalls/send-datagram.ts';
import { NOTIFY_RETRY_MS, NOTIFY_TIMEOUT_MS } from '../limits.ts';

/** What is told: `READY=1` and its like. */
export type ServiceState = Readonly<Record<string, string>>;

export interface ServiceManager {
  /** Tells; resolves when it has been told, or could not be: see `onError`. */
  tell(state: ServiceState): Promise<void>;
  /** Tells nothing more: another process is the service now. */
  silence(): void;
}

/** Sends a whole message; answers what went wrong, or null. */
type Send = (message: string) => Promise<string | null>;

/** @param onError Called for the first message that could not be sent. */
export function connectServiceManager(
  env: NodeJS.ProcessEnv,
  onError: (why: string) => void,
): ServiceManager {
  const path = env['NOTIFY_SOCKET'] ?? '';
  let send = path.startsWith('/') || path.startsWith('@') ? createSend(path) : null;
  let failed = false;
  return {
    async tell(state) {
      const lines = Object.entries(state).map(
        ([key, value]) => `${key}=${value.replaceAll(/[\r\n]+/g, '; ')}`,
      );
      const why = (await send?.(lines.join('\n'))) ?? null;
      if (why === null || failed) return;
      failed = true;
      onError(`the service manager cannot be told at ${path}: ${why}`);
    },
    silence() {
      send = null;
    },
  };
}

/** That it begins to change, as systemd wants it told: with the time, so that it can tell one change from another. */
export function reloadingState(): ServiceState {
  return { RELOADING: '1', MONOTONIC_USEC: String(process.hrtime.bigint() / 1000n) };
}

/**
 * Milliseconds between two signs of life, half of what the service manager waits; null if it expects none of this
 * process.
 */
export function watchdogIntervalMs({ WATCHDOG_USEC, WATCHDOG_PID }: NodeJS.ProcessEnv): number | null {
  if (!/^[0-9]{4,15}$/.test(WATCHDOG_USEC ?? '')) return null;
  if (WATCHDOG_PID !== undefined && WATCHDOG_PID !== String(process.pid)) return null;
  return Number(WATCHDOG_USEC) / 2000;
}

function createSend(path: string): Send {
  const loaded = loadKernel();
  if (!loaded.ok) return sendByProgram;
  const sendDatagram = createDatagramSender(loaded);
  const address = path.startsWith('@') ? `\0${path.slice(1)}` : path;
  return async message => {
    const until = performance.now() + NOTIFY_TIMEOUT_MS;
    for (;;) {
      const code = sendDatagram(address, message);
      // It holds some ten messages (unix(7), max_dgram_qlen), and nothing of this may be lost.
      if (code !== 'EAGAIN' || performance.now() > until) return code;
      await delay(NOTIFY_RETRY_MS);
    }
  };
}

function sendByProgram(message: string): Promise<string | null> {
  return new Promise(resolve => {
    execFile('systemd-notify', message.split('\n'), { timeout: NOTIFY_TIMEOUT_MS }, error =>
      resolve(error === null ? null : `systemd-notify: ${error.message}`),
    );
  });
}
