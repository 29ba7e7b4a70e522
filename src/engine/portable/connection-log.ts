/** What is taken down of one connection while it lasts, and becomes its record when it has ended. */
import type {
  ClientAddress,
  ConnectionEnded,
  ConnectionOpened,
  EchBackend,
  EchOffer,
  OpenConnection,
} from '../../events.ts';
import { LOGGED_BYTES_MAX } from '../../limits.ts';
import type { ClientHello } from '../../wire/client-hello.ts';
import { escapeBytes, escapeProtocols } from '../../wire/host-name.ts';
import { versionNames } from '../../wire/tls-versions.ts';
import type { OpenedHello } from '../../open-hello.ts';
import type { Client } from '../../verdict.ts';
import type { EchPassage } from '../ech-passage.ts';
import {
  confirmationIndex,
  echBackend,
  echIndex,
  echOffer,
  fingerprintsOf,
  openedIndex,
  shownDetail,
  shownName,
} from '../hello-notes.ts';
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
  #opened: Client['ech'] = null;
  #echBackend: EchBackend | null = null;
  #echRetried = false;
  #fingerprints: Fingerprints | null = null;
  #rawName: string | null = null;
  readonly #startedAtMs = Date.now();

  constructor(opened: ConnectionOpened) {
    this.opened = opened;
    this.client = opened.client;
  }

  /** Copies what the record needs, so that the hello's memory can go. */
  noteHello(hello: ClientHello, wantsFingerprints: boolean): void {
    this.helloAt = performance.now();
    this.serverName = hello.serverName;
    this.#noteName(hello);
    this.#tlsVersions = versionNames(hello.versionSet);
    this.#ech = echOffer(echIndex(hello.ech));
    if (wantsFingerprints) this.#fingerprints = fingerprintsOf(hello);
  }

  /** What has come of Encrypted ClientHello. */
  noteOpened(opened: OpenedHello, { ech }: Client): void {
    this.#opened = ech;
    const isIllegal = opened?.kind === 'refused' && opened.refusal.kind === 'illegal-ech';
    // One that was opened stays that, whatever came behind it.
    if (isIllegal && ech?.kind !== 'accepted') this.#ech = echOffer(openedIndex('illegal'));
    else if (ech !== null) this.#ech = echOffer(openedIndex(ech));
    if (opened?.kind !== 'accepted') return;
    this.serverName = opened.hello.serverName;
    if (ech?.isHidden !== true) this.#noteName(opened.hello);
  }

  notePassage(passage: EchPassage): void {
    this.#echRetried = passage.wasRetried;
    this.#echBackend = echBackend(confirmationIndex(passage.confirmation));
  }

  #noteName({ rawName, alpnProtocols }: ClientHello): void {
    this.#alpnProtocols = escapeProtocols(alpnProtocols, LOGGED_BYTES_MAX);
    this.#rawName = rawName === null ? null : escapeBytes(rawName, LOGGED_BYTES_MAX);
  }

  noteRawName(bytes: Uint8Array): void {
    this.#rawName = escapeBytes(bytes, LOGGED_BYTES_MAX);
  }

  describe(moved: Pick<OpenConnection, 'bytesFromClient' | 'bytesFromBackend'>): OpenConnection {
    return {
      id: this.opened.id,
      client: this.client,
      serverName: shownName(this.#named),
      route: this.route,
      ageMs: performance.now() - this.acceptedAt,
      bytesFromClient: Math.max(0, moved.bytesFromClient),
      bytesFromBackend: moved.bytesFromBackend,
    };
  }

  get #named() {
    return { client: { ech: this.#opened }, serverName: this.serverName };
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
      serverName: shownName(this.#named),
      rawName: this.#rawName,
      alpnProtocols: this.#alpnProtocols,
      tlsVersions: this.#tlsVersions,
      ech: this.#ech,
      outerName: this.#opened?.kind === 'accepted' ? this.#opened.outerName : null,
      echConfigId: this.#opened?.configId ?? null,
      echRetried: this.#echRetried,
      echBackend: this.#echBackend,
      echOpenMs: this.#opened?.openMs ?? null,
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
      detail: shownDetail(this.#named, outcome.detail),
    };
  }
}
