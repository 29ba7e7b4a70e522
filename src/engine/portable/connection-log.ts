/** What is taken down of one connection while it lasts, and becomes its record when it has ended. */
import type {
  ClientAddress,
  ConnectionEnded,
  ConnectionOpened,
  EchOffer,
  OpenConnection,
} from '../../events.ts';
import { LOGGED_BYTES_MAX } from '../../limits.ts';
import type { ClientHello } from '../../wire/client-hello.ts';
import { escapeBytes, escapeProtocols } from '../../wire/host-name.ts';
import { versionNames } from '../../wire/tls-versions.ts';
import { echIndex, echOffer, fingerprintsOf } from '../hello-notes.ts';
import type { Fingerprints } from '../hello-notes.ts';

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
  #tlsVersions: readonly string[] = [];
  #ech: EchOffer | null = null;
  #fingerprints: Fingerprints | null = null;
  #rawName: string | null = null;
  readonly #startedAtMs = Date.now();

  constructor(opened: ConnectionOpened) {
    this.opened = opened;
    this.client = opened.client;
  }

  /** Copies what the record needs, so that the hello's memory can go. */
  noteHello(hello: ClientHello, wantsFingerprints: boolean): void {
    const { serverName, rawName, alpnProtocols } = hello;
    this.helloAt = performance.now();
    this.serverName = serverName;
    this.#alpnProtocols = escapeProtocols(alpnProtocols, LOGGED_BYTES_MAX);
    if (rawName !== null) this.noteRawName(rawName);
    this.#tlsVersions = versionNames(hello.versionSet);
    this.#ech = echOffer(echIndex(hello.ech));
    if (wantsFingerprints) this.#fingerprints = fingerprintsOf(hello);
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
    const { id, client: connected, listener } = this.opened;
    // One literal: put together from several, each record gets a hidden class of its own, which costs many times as much.
    return {
      id,
      client: this.client,
      listener,
      peer: this.isProxied ? connected : null,
      startedAtMs: this.#startedAtMs,
      serverName: this.serverName,
      rawName: this.#rawName,
      alpnProtocols: this.#alpnProtocols,
      tlsVersions: this.#tlsVersions,
      ech: this.#ech,
      ja3: this.#fingerprints?.ja3 ?? null,
      ja4: this.#fingerprints?.ja4 ?? null,
      route: this.route,
      backend: outcome.backend,
      attempts: outcome.attempts,
      helloMs: since(this.acceptedAt, this.helloAt),
      resolveMs: since(this.helloAt, this.verdictAt),
      dialMs: since(this.verdictAt, this.dialedAt),
      totalMs: performance.now() - this.acceptedAt,
      bytesFromClient: outcome.bytesFromClient,
      bytesFromBackend: outcome.bytesFromBackend,
      endReason: outcome.endReason,
      detail: outcome.detail,
    };
  }
}
