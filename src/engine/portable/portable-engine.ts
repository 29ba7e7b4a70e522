/**
 * The plain twin of the engines: node:net, on any platform Node runs on, and the oracle for the fast one.
 *
 * Where it differs: Node does not watch a socket that is paused or that has sent its end of file. A peer that dies
 * in such a state is found when something is written to it or when its keepalive probes fail, not at once.
 */
import type { Socket } from 'node:net';
import { END_REASONS } from '../../events.ts';
import type { BoundAddress, ConnectionCounts, EndReason, OpenConnection } from '../../events.ts';
import type {
  ChangingSettings,
  CreateEngine,
  Engine,
  EngineHost,
  EngineSettings,
  ListenTarget,
  ListeningSocket,
  PreparedReload,
} from '../engine.ts';
import { PendingHellos } from '../pending-hellos.ts';
import { createProxyGates } from '../proxy-in.ts';
import { parsePeerAddress } from '../../wire/peer-address.ts';
import { PortableConnection } from './connection.ts';
import { PortableListeners } from './listeners.ts';
import type { PortableListener } from './listeners.ts';
import { unmapAddress } from './sockets.ts';

export const createPortableEngine: CreateEngine = (host, settings) => new PortableEngine(host, settings);

class PortableEngine implements Engine {
  readonly name = 'portable';
  readonly #host: EngineHost;
  #settings: EngineSettings;
  readonly #connections = new Set<PortableConnection>();
  readonly #listeners: PortableListeners;
  #waiters: (() => void)[] = [];
  readonly #pending: PendingHellos;
  readonly #ended = Object.fromEntries(END_REASONS.map(reason => [reason, 0])) as Record<EndReason, number>;
  #nextId = 1;

  constructor(host: EngineHost, settings: EngineSettings) {
    this.#host = host;
    this.#settings = settings;
    this.#pending = new PendingHellos(host.pending, settings.pending.all);
    this.#listeners = new PortableListeners({
      ...settings,
      accept: (socket, listener) => this.#accept(socket, listener),
      notice: notice => host.notice(notice),
    });
  }

  get connectionCount(): number {
    return this.#connections.size;
  }

  counts(): ConnectionCounts {
    const open = this.#connections.size;
    return { accepted: this.#nextId - 1, open, ended: { ...this.#ended }, recordsDropped: 0 };
  }

  measureLag(): Promise<readonly number[]> {
    return Promise.resolve([]);
  }

  /** Connections stand in the order they were accepted in. */
  oldest(most: number): Promise<readonly OpenConnection[]> {
    const described: OpenConnection[] = [];
    for (const connection of this.#connections) {
      if (described.length === most) break;
      described.push(connection.describe());
    }
    return Promise.resolve(described);
  }

  async listen(targets: readonly ListenTarget[]): Promise<readonly BoundAddress[]> {
    const prepared = await this.prepare(targets, this.#settings);
    await prepared.apply();
    return prepared.addresses;
  }

  async prepare(targets: readonly ListenTarget[], settings: ChangingSettings): Promise<PreparedReload> {
    const opened = await this.#listeners.prepare(targets, settings.tcp);
    return {
      addresses: opened.addresses,
      apply: () => {
        this.#settings = { ...this.#settings, ...settings };
        this.#pending.update(this.#host.pending, settings.pending.all);
        const gates = createProxyGates(settings.plain.listeners);
        opened.apply(gates.map((gate, index) => ({ gate, facts: this.#host.listener(index) })));
        return Promise.resolve();
      },
      abandon: () => opened.abandon(),
    };
  }

  listening(): readonly ListeningSocket[] {
    return this.#listeners.sockets();
  }

  keepSocketFiles(keeps: boolean): void {
    this.#listeners.handOver(keeps);
  }

  stopListening(): Promise<void> {
    return this.#listeners.close();
  }

  async terminate(endReason: 'drained' | 'killed'): Promise<void> {
    for (const connection of this.#connections) connection.terminate(endReason);
    await this.idle();
  }

  idle(): Promise<void> {
    if (this.#connections.size === 0) return Promise.resolve();
    return new Promise(resolve => {
      this.#waiters.push(resolve);
    });
  }

  /** Records cost nothing here: everything is told. */
  interestChanged(): void {}

  /** Decisions are made by the host, on this thread: it knows the addresses. */
  publish(): void {}

  endBackend(backend: number): void {
    for (const connection of this.#connections) connection.endBackend(backend);
  }

  endRoutes(routes: ReadonlySet<string>): void {
    for (const connection of this.#connections) {
      if (connection.route !== null && routes.has(connection.route)) connection.terminate('drained');
    }
  }

  #accept(socket: Socket, listener: PortableListener): void {
    const { address, gate } = listener;
    const client = clientAddress(socket, address);
    const opened = { id: this.#nextId++, client, listener: address.text };
    const isTrusted = gate?.trusts(parsePeerAddress(client.address, client.port), address.kind === 'unix');
    this.#host.opened(opened);
    const connection = new PortableConnection(
      {
        host: this.#host,
        settings: this.#settings,
        pending: this.#pending,
        gate: isTrusted === true ? gate : null,
        closed: (closed, endReason) => this.#forget(closed, endReason),
      },
      socket,
      { opened, listener },
    );
    this.#connections.add(connection);
    connection.start();
    // Whom it could have spoken for cannot be told any more.
    if (gate !== null && client.address === 'unknown') connection.leave();
  }

  #forget(connection: PortableConnection, endReason: EndReason): void {
    this.#ended[endReason]++;
    this.#connections.delete(connection);
    if (this.#connections.size > 0) return;
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const resolve of waiters) resolve();
  }
}

function clientAddress(socket: Socket, listener: BoundAddress): { address: string; port: number } {
  if (listener.kind === 'unix') return { address: 'unix', port: 0 };
  // A client that has gone already leaves no address behind.
  const { remoteAddress = 'unknown', remotePort = 0 } = socket;
  return { address: unmapAddress(remoteAddress), port: remotePort };
}
