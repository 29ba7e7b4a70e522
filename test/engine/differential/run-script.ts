/** Plays one script against one proxy and takes down what the peers see. */
import { createHash } from 'node:crypto';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { connectRawSocket } from '../../support/raw-sockets.ts';
import { eventually } from '../../support/peers.ts';
import type { TestProxy } from '../../support/proxies.ts';
import type { RawListener, RawSocket } from '../../support/raw-sockets.ts';
import type { PeerName, Script, Step } from './script.ts';

export interface Outcome {
  /** What was seen, in order. */
  readonly seen: readonly string[];
  readonly endReason: string;
  /** Of the record, from the client and from the backend; empty where the script leaves them open. */
  readonly bytes: readonly number[];
}

export class ScriptRun {
  readonly #t: TestContext;
  readonly #port: number;
  readonly #listener: RawListener;
  readonly #isKnown: (clientPort: number) => boolean;
  readonly #seen: string[] = [];
  #client: RawSocket | null = null;
  #backend: RawSocket | null = null;

  constructor(t: TestContext, proxy: TestProxy, listener: RawListener) {
    this.#t = t;
    this.#port = proxy.port;
    const earlier = proxy.openedPorts.length;
    this.#isKnown = port => proxy.openedPorts.includes(port, earlier);
    this.#listener = listener;
  }

  get clientPort(): number {
    return this.#client?.port ?? 0;
  }

  async play(script: Script): Promise<Outcome> {
    for (const step of script.steps) await this.#do(step);
    this.#client?.close();
    this.#backend?.close();
    return { seen: this.#seen, endReason: '', bytes: [] };
  }

  close(): void {
    this.#client?.reset();
    this.#backend?.reset();
  }

  async #do(step: Step): Promise<void> {
    switch (step.kind) {
      case 'hello':
        this.#client = await connectRawSocket(this.#t, this.#port);
        for (const [index, segment] of step.segments.entries()) {
          this.#seen.push(`client ${await this.#client.send(segment)}`);
          // Long hellos in small segments would take too long with a wait for each.
          if (index % 8 === 0) await sleep(1);
        }
        return;
      case 'accept':
        this.#backend = await this.#listener.accept();
        await this.#expect('backend', step.expected.length);
        return;
      case 'accept-and-leave':
        this.#backend = await this.#listener.accept();
        // Until then a reset may still be met by connect(2), which is another end reason. Closing on what is unread
        // resets, too.
        await this.#backend.arrival();
        if (step.how === 'reset') this.#backend.reset();
        else this.#backend.close();
        return;
      case 'transfer':
        return await this.#transfer(step);
      case 'pause':
        await sleep(step.ms);
        return;
      case 'be-known':
        return await eventually('the proxy knows the client', () => this.#isKnown(this.clientPort), 10_000);
      case 'finish':
        this.#peer(step.who).finish();
        return await this.#expect(other(step.who), 1);
      case 'reset':
        this.#peer(step.who).reset();
        return await this.#expect(other(step.who), 1);
      case 'leave':
        if (step.how === 'reset') this.#client!.reset();
        else this.#client!.close();
        return;
      case 'read-refusal':
        this.#note('client', await this.#client!.receiveAll());
    }
  }

  async #transfer({ up, down, fill, stallMs }: Extract<Step, { kind: 'transfer' }>): Promise<void> {
    const sending = [
      up > 0 ? this.#peer('client').send(pattern(up, fill)) : Promise.resolve('nothing'),
      down > 0 ? this.#peer('backend').send(pattern(down, fill + 1)) : Promise.resolve('nothing'),
    ];
    if (stallMs > 0) await sleep(stallMs);
    const [atBackend, atClient] = await Promise.all([
      this.#peer('backend').receive(up),
      this.#peer('client').receive(down),
    ]);
    this.#note('backend', atBackend);
    this.#note('client', atClient);
    this.#seen.push(`sent: ${(await Promise.all(sending)).join(' ')}`);
  }

  async #expect(who: PeerName, count: number): Promise<void> {
    this.#note(who, await this.#peer(who).receive(count));
  }

  #note(who: PeerName, { bytes, end }: { bytes: Buffer; end: string | null }): void {
    const hash = createHash('sha256').update(bytes).digest('hex').slice(0, 16);
    this.#seen.push(`${who} received ${bytes.length} bytes ${hash}${end === null ? '' : `, ${end}`}`);
  }

  #peer(who: PeerName): RawSocket {
    return who === 'client' ? this.#client! : this.#backend!;
  }
}

function other(who: PeerName): PeerName {
  return who === 'client' ? 'backend' : 'client';
}

/** Bytes that differ at every 256th place, so that a lost or doubled stretch shows. */
function pattern(count: number, fill: number): Buffer {
  const bytes = Buffer.alloc(count, fill);
  for (let at = 0; at < count; at += 256) bytes[at] = (at >> 8) ^ fill;
  return bytes;
}
