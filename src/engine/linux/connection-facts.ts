/** What is taken down of one connection while it lasts, for its record. Numbers and references: a record costs no more. */
import { LOGGED_BYTES_MAX } from '../../limits.ts';
import type { Candidate } from '../../verdict.ts';
import type { ClientHello } from '../../wire/client-hello.ts';
import { escapeProtocols } from '../../wire/host-name.ts';
import { NO_CONFIRMATION, NO_ECH, echIndex, fingerprintsOf } from '../hello-notes.ts';
import type { Fingerprints } from '../hello-notes.ts';
import { WheelTimer } from './timer-wheel.ts';

export abstract class ConnectionFacts extends WheelTimer {
  /** Readings of the monotonic clock, in milliseconds; 0 for what has not been reached. */
  acceptedAtMs = 0;
  helloAtMs = 0;
  verdictAtMs = 0;
  dialedAtMs = 0;
  serverName: string | null = null;
  rawName: Uint8Array | null = null;
  alpnProtocols: readonly string[] = [];
  /** As `ClientHello.versionSet`. */
  tlsVersions = 0;
  /** As `echIndex` has it. */
  ech = NO_ECH;
  /** As `confirmationIndex` has it. */
  echBackend = NO_CONFIRMATION;
  echRetried = false;
  fingerprints: Fingerprints | null = null;
  route: string | null = null;
  /** Dialled last. */
  candidate: Candidate | null = null;
  /** Candidates that were dialled, or passed over at their limit. */
  attempts = 0;
  detail: string | null = null;
  bytesFromClient = 0;
  bytesFromBackend = 0;

  /** Copies what a record tells of a hello. */
  protected noteHello(hello: ClientHello, wantsFingerprints: boolean): void {
    this.noteName(hello);
    this.tlsVersions = hello.versionSet;
    this.ech = echIndex(hello.ech);
    if (wantsFingerprints) this.fingerprints = fingerprintsOf(hello);
  }

  /** Copies what a record tells of the place a hello asks for. */
  protected noteName(hello: ClientHello): void {
    this.alpnProtocols = escapeProtocols(hello.alpnProtocols, LOGGED_BYTES_MAX);
    this.rawName = hello.rawName === null ? null : Uint8Array.from(hello.rawName);
  }
}
