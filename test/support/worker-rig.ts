/**
 * The inside of one worker of the linux engine on the test's own thread: reactor, acceptor and connections, with a host
 * that the test makes and system calls that it can let fail. The peers live in the same thread, between two turns.
 */
import { readdirSync } from 'node:fs';
import type { EndReason, Notice } from '../../src/events.ts';
import { Acceptor } from '../../src/engine/linux/acceptor.ts';
import { LinuxConnection } from '../../src/engine/linux/connection.ts';
import { PipePool } from '../../src/engine/linux/pipe-pool.ts';
import { Reactor } from '../../src/engine/linux/reactor.ts';
import { DescriptorOwners } from '../../src/engine/linux/shared-state.ts';
import { Sockets } from '../../src/engine/linux/sockets.ts';
import type { Kernel } from '../../src/engine/linux/syscalls/kernel.ts';
import { loadKernel } from '../../src/engine/linux/syscalls/load-kernel.ts';
import type { WorkerContext, WorkerHost } from '../../src/engine/linux/worker-context.ts';
import { BULK_SCRATCH_BYTES, SCRATCH_BYTES } from '../../src/limits.ts';
import type { Verdict } from '../../src/verdict.ts';
import type { ClientHello } from '../../src/wire/client-hello.ts';
import { candidateAt } from './candidates.ts';
import { RawListener } from './raw-sockets.ts';
import type { TestContext } from 'node:test';

const WITHIN_MS = 20_000;

/** What the peers do: each value yielded is what they wait for. */
export type Peers = Generator<() => boolean, void, void>;

/** System calls that answer something else; `real` is how they are. A failure sets the error number it returns. */
export type Faults = (real: Kernel, fail: (errno: number) => -1) => Partial<Kernel>;

export interface RigOptions {
  readonly faults?: Faults;
  /** Called with each hello, before it is relayed; may throw. */
  readonly decide?: (hello: ClientHello) => void;
}

export class WorkerRig {
  readonly context: WorkerContext;
  /** Clients connect here. */
  readonly front: RawListener;
  /** The backend of every name. */
  readonly back: RawListener;
  readonly ended: { readonly endReason: EndReason; readonly connection: LinuxConnection }[] = [];
  readonly notices: Notice[] = [];
  readonly #kernel: Kernel;

  constructor(t: TestContext, { faults, decide }: RigOptions = {}) {
    const loaded = loadKernel();
    if (!loaded.ok) throw new Error(loaded.why);
    this.#kernel = withFaults(loaded.kernel, faults);
    const arena = loaded.createArena(SCRATCH_BYTES + BULK_SCRATCH_BYTES + 64 * 1024);
    const sockets = new Sockets(this.#kernel, arena, { owners: new DescriptorOwners(), worker: 0 });
    const reactor = new Reactor(this.#kernel, arena, 0);
    this.front = new RawListener(t);
    this.back = new RawListener(t);
    const verdict: Verdict = {
      kind: 'relay',
      route: 'rig',
      candidates: [candidateAt(this.back.port)],
      options: { retry: false, idleMs: 0, halfCloseMs: 0, lifetimeMs: 0 },
    };
    const host: WorkerHost = {
      decide: hello => {
        decide?.(hello);
        return verdict;
      },
      openHello: () => null,
      echFault: () => undefined,
      admit: () => null,
      refuse: refusal => ({
        kind: 'reject',
        endReason: refusal.kind === 'dial-failed' ? refusal.endReason : 'hello-malformed',
        answer: { kind: 'close' },
        route: null,
        detail: null,
      }),
      helloPends: () => true,
      helloOver: () => undefined,
      takeBackend: () => true,
      leaveBackend: () => undefined,
      backendAnswered: () => undefined,
      ask: () => 0,
      forget: () => undefined,
      wantsRecords: true,
      wantsFingerprints: false,
      ended: (connection, endReason) => void this.ended.push({ connection, endReason }),
      notice: (level, message) => void this.notices.push({ level, message }),
    };
    const tcp = {
      keepaliveIdleMs: 60_000,
      keepaliveIntervalMs: 10_000,
      keepaliveProbes: 6,
      userTimeoutMs: 0,
    };
    const hello = { timeoutMs: 5_000, pace: null };
    const settings = { hello, dialTimeoutMs: 5_000, tcp, spin: false, instance: 'rig' };
    this.context = { sockets, reactor, pipes: new PipePool(sockets, reactor, arena), settings, host };
    t.after(() => this.#kernel.close(reactor.descriptor));
  }

  /** Runs the loop until the peers are done; once for each rig. */
  run(peers: Peers): void {
    const { reactor } = this.context;
    const acceptor = new Acceptor(this.context, {
      fds: [this.front.fd],
      text: 'rig',
      accept: (fd, peer) => this.#accept(fd, peer),
      refused: () => undefined,
    });
    let holds = (): boolean => true;
    const until = performance.now() + WITHIN_MS;
    reactor.run(() => {
      if (performance.now() > until) throw new Error(`not within ${WITHIN_MS} ms: ${holds.toString()}`);
      while (holds()) {
        const next = peers.next();
        if (next.done === true) {
          reactor.stop();
          break;
        }
        holds = next.value;
      }
      return 1;
    });
    acceptor.close();
  }

  #accept(fd: number, peer: LinuxConnection['accepted']['peer']): void {
    const connection = new LinuxConnection(this.context, {
      fd,
      id: 1,
      listener: { facts: { rules: null, scope: null }, number: 0, text: 'rig' },
      peer,
      ticket: null,
      route: null,
      ech: null,
    });
    try {
      connection.start(this.context.settings.hello, null);
    } catch (error) {
      connection.onFault(error);
    }
  }
}

function withFaults(real: Kernel, faults: Faults | undefined): Kernel {
  if (faults === undefined) return real;
  let errno: number | null = null;
  const fail = (number: number): -1 => {
    errno = number;
    return -1;
  };
  const read = (): number => {
    const told = errno ?? real.errno();
    errno = null;
    return told;
  };
  return { ...real, ...faults(real, fail), errno: read };
}

/** Descriptors of this process that are open now, the one that lists them left out. */
export function openDescriptors(): number {
  return readdirSync('/proc/self/fd').length - 1;
}
