/** dnsmasq, a DNS server that people run at home, with a hosts file of its own. */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import type { TestContext } from 'node:test';
import { writeTemporary } from './names.ts';
import { eventually } from './peers.ts';
import { start } from './programs.ts';
import type { Running } from './programs.ts';

export interface Dnsmasq {
  readonly address: string;
  /** Replaces the names it knows, and waits until it has read them. */
  know(hosts: string): Promise<void>;
  stop(): Promise<void>;
  restart(): Promise<void>;
}

/** `more` are arguments beyond those that make it a server of its own. */
export async function startDnsmasq(t: TestContext, hosts: string, more: readonly string[]): Promise<Dnsmasq> {
  for (let attempts = 1; ; attempts++) {
    try {
      return await startAt(t, await freePort(), { hosts, more });
    } catch (error) {
      // A port may be free for datagrams, and taken for connections, or taken meanwhile.
      if (attempts === ATTEMPTS_MAX) throw error;
    }
  }
}

const ATTEMPTS_MAX = 5;

interface Knowledge {
  readonly hosts: string;
  readonly more: readonly string[];
}

async function startAt(t: TestContext, port: number, { hosts, more }: Knowledge): Promise<Dnsmasq> {
  const file = writeTemporary(t, 'hosts', hosts);
  const command = [
    'dnsmasq',
    '--keep-in-foreground',
    '--log-facility=-',
    '--conf-file=/dev/null',
    '--pid-file=',
    '--user=root',
    '--no-resolv',
    '--no-hosts',
    '--bind-interfaces',
    '--listen-address=127.0.0.1',
    '--local=/example/',
    `--port=${port}`,
    `--addn-hosts=${file}`,
    ...more,
  ] as const satisfies string[];
  const timesRead = (running: Running): number => running.stderr().split(`read ${file}`).length - 1;
  const launch = async (): Promise<Running> => {
    const started = start(t, command);
    let hasEnded = false;
    void started.finished.then(() => (hasEnded = true));
    await eventually('dnsmasq has started', () => hasEnded || timesRead(started) > 0, 20_000);
    if (hasEnded) throw new Error(`dnsmasq ended at once: ${started.stderr()}`);
    return started;
  };
  let running = await launch();
  return {
    address: `127.0.0.1:${port}`,
    async know(text) {
      const before = timesRead(running);
      writeFileSync(file, text);
      running.kill('SIGHUP');
      await eventually('dnsmasq has read its hosts again', () => timesRead(running) > before);
    },
    async stop() {
      running.kill('SIGKILL');
      await running.finished;
    },
    async restart() {
      running = await launch();
    },
  };
}

async function freePort(): Promise<number> {
  const socket = createSocket('udp4');
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  const { port } = socket.address();
  socket.close();
  await once(socket, 'close');
  return port;
}
