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
  CreateEngine,
  Engine,
  EngineHost,
  EngineSettings,
  ListenTarget,
  ListeningSocket,
} from '../engine.ts';
import { PendingHellos } from '../pending-hellos.ts';
import { createProxyGates } from '../proxy-in.ts';
import type { ProxyGate } from '../proxy-in.ts';
import { parsePeerAddress } from '../../wire/peer-address.ts';
import { PortableConnection } from './connection.ts';
import { closeListener, listeningSockets, openListener } from './listener.ts';
import type { Listener } from './listener.ts';
import { unmapAddress } from './sockets.ts';

export const createPortableEngine: CreateEngine = (host, settings) => new PortableEngine(host, settings);

class PortableEngine implements Engine {
  readonly name = 'portable';
  readonly #host: EngineHost;
  readonly #settings: EngineSettings;
  readonly #connections = new Set<PortableConnection>();
  #listeners: Listener[] = [];
  #keepsFiles = false;
  #waiters: (() => void)[] = [];
  readonly #pending: PendingHellos;
  readonly #gates: readonly (ProxyGate | null)[];
  readonly #ended = Object.fromEntries(END_REASONS.map(reason => [reason, 0])) as Record<EndReason, number>;
  #nextId = 1;

  constructor(host: EngineHost, settings: EngineSettings) {
    this.#host = host;
    this.#settings = settings;
    this.#pending = new PendingHellos(host.pending, settings.pending.all);
    this.#gates = createProxyGates(settings.plain.listeners);
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
    const bound: BoundAddress[] = [];
    try {
      for (const [index, target] of targets.entries()) {
        const listener = await openListener(target, {
          ...this.#settings,
          accept: (socket, address) => this.#accept(socket, address, index),
        });
        this.#listeners.push(listener);
        const message = (error: Error): string => `accept on ${listener.address.text}: ${error.message}`;
        for (const server of listener.servers) {
          server.on('error', error => this.#host.notice({ level: 'warn', message: message(error) }));
        }
        bound.push(listener.address);
      }
    } catch (error) {
      await this.stopListening();
      throw error;
    }
    return bound;
  }

  listening(): readonly ListeningSocket[] {
    return this.#listeners.flatMap(listeningSockets);
  }

  keepSocketFiles(): void {
    this.#keepsFiles = true;
  }

  async stopListening(): Promise<void> {
    const listeners = this.#listeners;
    this.#listeners = [];
    for (const listener of listeners) closeListener(listener, this.#keepsFiles);
    await new Promise(resolve => setImmediate(resolve));
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

  #accept(socket: Socket, listener: BoundAddress, index: number): void {
    const client = clientAddress(socket, listener);
    const opened = { id: this.#nextId++, client, listener: listener.text };
    const gate = this.#gates[index] ?? null;
    const isTrusted = gate?.trusts(parsePeerAddress(client.address, client.port), listener.kind === 'unix');
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
      { opened, listener: index },
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
