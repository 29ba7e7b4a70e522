/** What is taken down of one connection while it lasts, and becomes its record when it has ended. */
import type { ClientAddress, ConnectionEnded, ConnectionOpened, OpenConnection } from '../../events.ts';
import { LOGGED_BYTES_MAX } from '../../limits.ts';
import type { ClientHello } from '../../wire/client-hello.ts';
import { escapeBytes, escapeProtocols } from '../../wire/host-name.ts';

/** What only the end tells. */
export type ConnectionOutcome = Pick<
  ConnectionEnded,
  'backend' | 'attempts' | 'bytesFromClient' | 'bytesFromBackend' | 'endReason' | 'detail'
>;

export class ConnectionLog {
  readonly opened: ConnectionOpened;
  readonly acceptedAt = performance.now();
  /** Who counts as the client: another than who connected, where a PROXY header said so. */
  client: ClientAddress;
  isProxied = false;
  helloAt = 0;
  verdictAt = 0;
  dialedAt = 0;
  serverName: string | null = null;
  route: string | null = null;
  #alpnProtocols: readonly string[] = [];
  #rawName: string | null = null;
  readonly #startedAtMs = Date.now();

  constructor(opened: ConnectionOpened) {
    this.opened = opened;
    this.client = opened.client;
  }

  /** Copies what the record needs, so that the hello's memory can go. */
  noteHello({ serverName, rawName, alpnProtocols }: ClientHello): void {
    this.helloAt = performance.now();
    this.serverName = serverName;
    this.#alpnProtocols = escapeProtocols(alpnProtocols, LOGGED_BYTES_MAX);
    if (rawName !== null) this.noteRawName(rawName);
  }

  noteRawName(bytes: Uint8Array): void {
    this.#rawName = escapeBytes(bytes, LOGGED_BYTES_MAX);
  }

  describe(moved: Pick<OpenConnection, 'bytesFromClient' | 'bytesFromBackend'>): OpenConnection {
    return {
      id: this.opened.id,
      client: this.client,
      serverName: this.serverName,
      route: this.route,
      ageMs: performance.now() - this.acceptedAt,
      bytesFromClient: Math.max(0, moved.bytesFromClient),
      bytesFromBackend: moved.bytesFromBackend,
    };
  }

  record(outcome: ConnectionOutcome): ConnectionEnded {
    const since = (from: number, to: number): number | null => (from > 0 && to > 0 ? to - from : null);
    return {
      ...this.opened,
      client: this.client,
      peer: this.isProxied ? this.opened.client : null,
      startedAtMs: this.#startedAtMs,
      serverName: this.serverName,
      rawName: this.#rawName,
      alpnProtocols: this.#alpnProtocols,
      route: this.route,
      helloMs: since(this.acceptedAt, this.helloAt),
      resolveMs: since(this.helloAt, this.verdictAt),
      dialMs: since(this.verdictAt, this.dialedAt),
      totalMs: performance.now() - this.acceptedAt,
      ...outcome,
    };
  }
}
