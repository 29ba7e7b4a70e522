/** Says, while a process drains, what still holds it open. */
import type { OpenConnection } from '../events.ts';
import { DRAIN_LAST_WORD_MS, DRAIN_REPORT_CONNECTIONS, DRAIN_REPORT_MS, DURATION_MS_MAX } from '../limits.ts';
import type { CommandProxy } from '../proxy.ts';

type Draining = Pick<CommandProxy, 'connectionCount' | 'oldest'>;

/** Every so often, and once more shortly before the rest is ended. Returns how to stop. */
export function reportDraining(
  proxy: Draining,
  drainTimeoutMs: number,
  say: (text: string) => void,
): () => void {
  let stopped = false;
  const report = async (): Promise<void> => {
    const oldest = await proxy.oldest(DRAIN_REPORT_CONNECTIONS);
    if (!stopped && proxy.connectionCount > 0) say(describeOpen(proxy.connectionCount, oldest));
  };
  const now = (): void => void report();
  const often = setInterval(now, DRAIN_REPORT_MS);
  const lastMs = drainTimeoutMs - Math.min(DRAIN_LAST_WORD_MS, drainTimeoutMs / 2);
  const last = lastMs > DURATION_MS_MAX ? undefined : setTimeout(now, lastMs);
  return () => {
    stopped = true;
    clearInterval(often);
    clearTimeout(last);
  };
}

/** `2 connections are open still, the oldest: 10.0.0.9:5000 (www.example.com, route *.example.com) for 12m3s, ...`. */
export function describeOpen(count: number, oldest: readonly OpenConnection[]): string {
  const head = count === 1 ? '1 connection is open still' : `${count} connections are open still`;
  if (oldest.length === 0) return head;
  return `${head}, the oldest: ${oldest.map(describe).join('; ')}`;
}

function describe({ client, serverName, route, ...rest }: OpenConnection): string {
  const name = serverName === null ? 'no name yet' : serverName;
  const where = route === null || route === serverName ? name : `${name}, route ${route}`;
  const moved = `in=${rest.bytesFromClient} out=${rest.bytesFromBackend}`;
  return `${client.address}:${client.port} (${where}) for ${formatAge(rest.ageMs)} ${moved}`;
}

function formatAge(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  if (seconds < 60) return `${seconds}s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes}m${seconds % 60}s`;
  return `${Math.floor(minutes / 60)}h${minutes % 60}m`;
}
