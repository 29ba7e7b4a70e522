/** Which connections have been open longest: each worker knows its own, the main thread asks them all. */
import type { OpenConnection } from '../../events.ts';
import { LAG_PROBE_TIMEOUT_MS } from '../../limits.ts';
import { shownName } from '../hello-notes.ts';
import { nowMs } from './clock.ts';
import type { LinuxConnection } from './connection.ts';
import { formatPeer } from './peer-address.ts';

/** The worker's answer: its oldest ones, up to `most`, oldest first. */
export function describeOldest(connections: readonly LinuxConnection[], most: number): OpenConnection[] {
  const oldest: LinuxConnection[] = [];
  for (const connection of connections) {
    const last = oldest[most - 1];
    if (last !== undefined && last.acceptedAtMs <= connection.acceptedAtMs) continue;
    const at = oldest.findIndex(({ acceptedAtMs }) => acceptedAtMs > connection.acceptedAtMs);
    oldest.splice(at === -1 ? oldest.length : at, 0, connection);
    oldest.length = Math.min(oldest.length, most);
  }
  return oldest.map(describe);
}

function describe(connection: LinuxConnection): OpenConnection {
  const { accepted, client, route, acceptedAtMs, relay } = connection;
  return {
    id: accepted.id,
    client: formatPeer(client.peer),
    serverName: shownName(connection),
    route,
    ageMs: nowMs() - acceptedAtMs,
    bytesFromClient: Math.max(0, relay?.up.bytes ?? connection.bytesFromClient),
    bytesFromBackend: relay?.down.bytes ?? 0,
  };
}

/** The oldest ones of all workers. */
export class OldestQuestion {
  readonly #waiting = new Map<number, (answer: readonly OpenConnection[]) => void>();

  /** `tells` by worker, null for one that is being replaced; one that does not answer within a second is left out. */
  async ask(tells: readonly ((() => void) | null)[], most: number): Promise<readonly OpenConnection[]> {
    const answers = await Promise.all(
      tells.map((tell, worker) => (tell === null ? Promise.resolve([]) : this.#askOne(worker, tell))),
    );
    return answers
      .flat()
      .toSorted((a, b) => b.ageMs - a.ageMs)
      .slice(0, most);
  }

  answered(worker: number, answer: readonly OpenConnection[]): void {
    this.#waiting.get(worker)?.(answer);
  }

  #askOne(worker: number, tell: () => void): Promise<readonly OpenConnection[]> {
    return new Promise(resolve => {
      const earlier = this.#waiting.get(worker);
      const take = (answer: readonly OpenConnection[]): void => {
        clearTimeout(timer);
        if (this.#waiting.get(worker) === take) this.#waiting.delete(worker);
        earlier?.(answer);
        resolve(answer);
      };
      const timer = setTimeout(() => take([]), LAG_PROBE_TIMEOUT_MS);
      this.#waiting.set(worker, take);
      tell();
    });
  }
}
