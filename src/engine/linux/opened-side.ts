/** The client's side of a connection whose hello may be an encrypted one, which is opened before anything is decided. */
import type { ClientHello } from '../../wire/client-hello.ts';
import { HelloReader } from '../../wire/hello-reader.ts';
import type { HelloComplete, HelloInvalid } from '../../wire/hello-reader.ts';
import { sniffProtocol } from '../../wire/sniff-protocol.ts';
import { recordVersion } from '../../wire/tls-record.ts';
import { EchPassage } from '../ech-passage.ts';
import { formatEndpoint } from '../happy-eyeballs.ts';
import { confirmationIndex, openedIndex } from '../hello-notes.ts';
import { joinHeader } from '../proxy-out.ts';
import { ProxiedSide } from './proxy-stage.ts';

export abstract class OpenedSide extends ProxiedSide {
  #reader: HelloReader | null = null;

  /** Decides on the hello that counts; `stream` is what the backend gets, from its first byte on. */
  protected abstract decide(hello: ClientHello, stream: Uint8Array): void;

  /** Looks for the hello in all that the client has sent so far. */
  protected parse(stream: Uint8Array): void {
    this.#reader ??= new HelloReader();
    const result = this.#reader.read(stream);
    if (result.kind === 'incomplete') {
      if (this.held === null) this.hold(stream);
      return;
    }
    this.#reader = null;
    if (result.kind === 'invalid') this.#refuseInvalid(result, stream);
    else this.#takeHello(result, stream);
  }

  #refuseInvalid(invalid: HelloInvalid, stream: Uint8Array): void {
    this.rawName = invalid.rawName ?? null;
    const protocol = invalid.code === 'not-tls' ? sniffProtocol(stream) : null;
    this.refuse({ kind: 'invalid-hello', invalid, protocol });
  }

  #takeHello({ hello, consumed }: HelloComplete, stream: Uint8Array): void {
    const { host } = this.context;
    this.helloAtMs = this.clock();
    this.serverName = hello.serverName;
    if (host.wantsRecords) this.noteHello(hello, host.wantsFingerprints);
    const opened = host.openHello(hello, recordVersion(stream), this.client);
    if (this.client.ech !== null) this.ech = openedIndex(this.client.ech);
    if (opened === null) return this.decide(hello, stream);
    if (opened.kind === 'refused') {
      if (opened.refusal.kind === 'illegal-ech') this.ech = openedIndex('illegal');
      return this.refuse(opened.refusal);
    }
    this.serverName = opened.hello.serverName;
    if (host.wantsRecords && this.client.ech?.isHidden !== true) this.noteName(opened.hello);
    const passage = new EchPassage(opened);
    this.passage = passage;
    const inner = joinHeader(opened.records, passage.fromClient(stream.subarray(consumed)));
    if (passage.illegal !== null) return this.refuse({ kind: 'illegal-ech', illegal: passage.illegal });
    if (this.held !== null) {
      this.held = null;
      this.hold(inner);
    }
    this.decide(opened.hello, inner);
  }

  /** The handshake is over, or the connection. */
  passageOver(): void {
    const { passage, candidate, route } = this;
    if (passage === null) return;
    this.passage = null;
    this.echRetried = passage.wasRetried;
    this.echBackend = confirmationIndex(passage.confirmation);
    if (passage.fault === null || candidate === null || route === null) return;
    this.context.host.echFault({ route, backend: formatEndpoint(candidate.endpoint), why: passage.fault });
  }
}
