/**
 * Three network namespaces in a row, client - proxy - backend, so that a link between two of them can be cut and a
 * kernel's timers lowered without touching this machine's network.
 */
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { TestContext } from 'node:test';
import { eventually } from './peers.ts';
import { start } from './programs.ts';
import type { Running } from './programs.ts';

const peerProgram = join(dirname(fileURLToPath(import.meta.url)), 'peer-program.js');

export const PROXY_TO_CLIENTS = '10.203.1.1';
const CLIENT = '10.203.1.2';
const PROXY_TO_BACKENDS = '10.203.2.1';
export const BACKEND = '10.203.2.2';

/** A peer in a namespace: says what it sees, line by line. */
export interface NetworkPeer {
  tell(command: string): void;
  /** Resolves when it has said a line that matches. */
  said(pattern: RegExp): Promise<RegExpExecArray>;
  readonly output: () => string;
}

function ip(args: string): string | null {
  const { status, stderr } = spawnSync('ip', args.split(' '), { encoding: 'utf8' });
  return status === 0 ? null : `ip ${args}: ${stderr ?? 'not installed'}`;
}

/** Why there can be no namespaces here, or false: options for tests that need them. In CI they are never skipped. */
export function needsNamespaces(): { skip: string | false } {
  if (process.env['CI'] === 'true') return { skip: false };
  if (process.platform !== 'linux') return { skip: 'network namespaces are a thing of Linux' };
  const name = `sniway-${randomBytes(4).toString('hex')}`;
  const problem = ip(`netns add ${name}`);
  if (problem !== null) return { skip: `no network namespaces: ${problem.trim()}` };
  ip(`netns delete ${name}`);
  return { skip: false };
}

export class Network {
  readonly #t: TestContext;
  readonly #id = randomBytes(3).toString('hex');

  constructor(t: TestContext) {
    this.#t = t;
    t.after(() => {
      for (const side of ['client', 'proxy', 'backend']) ip(`netns delete ${this.#name(side)}`);
    });
    for (const side of ['client', 'proxy', 'backend']) {
      this.#ip(`netns add ${this.#name(side)}`);
      this.#ip(`-n ${this.#name(side)} link set lo up`);
    }
    this.#join('client', CLIENT, PROXY_TO_CLIENTS);
    this.#join('backend', BACKEND, PROXY_TO_BACKENDS);
  }

  /** What to put in front of a command to run it there. */
  prefix(side: 'client' | 'proxy' | 'backend'): [string, ...string[]] {
    return ['ip', 'netns', 'exec', this.#name(side)];
  }

  /** Lets the kernel there forget a connection that was wholly closed, but whose peer stays, after a second. */
  forgetClosedSoon(side: 'client' | 'backend'): void {
    const script = 'echo 1 > /proc/sys/net/ipv4/tcp_fin_timeout';
    const [program, ...args] = [...this.prefix(side), 'sh', '-c', script];
    const { status, stderr } = spawnSync(program, args, { encoding: 'utf8' });
    if (status !== 0) throw new Error(`${script}: ${stderr}`);
  }

  /** From now on nothing gets through, and nobody is told: this side's end of the link drops everything. */
  cut(side: 'client' | 'backend'): void {
    this.#ip(`-n ${this.#name(side)} link set eth0 down`);
    // Without its neighbour the proxy's side would soon hear of an unreachable host instead of nothing.
    const [near, device] = side === 'client' ? [CLIENT, 'clients'] : [BACKEND, 'backends'];
    this.#ip(
      `-n ${this.#name('proxy')} neigh replace ${near} lladdr 02:00:00:00:00:01 dev ${device} nud permanent`,
    );
  }

  peer(side: 'client' | 'backend'): NetworkPeer {
    const [program, ...args] = [...this.prefix(side), process.execPath, peerProgram];
    return new PeerProcess(start(this.#t, [program, ...args]));
  }

  #join(side: 'client' | 'backend', address: string, proxyAddress: string): void {
    const near = this.#name(side);
    const proxy = this.#name('proxy');
    this.#ip(`-n ${near} link add eth0 type veth peer name ${side}s netns ${proxy}`);
    this.#ip(`-n ${near} addr add ${address}/24 dev eth0`);
    this.#ip(`-n ${proxy} addr add ${proxyAddress}/24 dev ${side}s`);
    this.#ip(`-n ${near} link set eth0 up`);
    this.#ip(`-n ${proxy} link set ${side}s up`);
  }

  #name(side: string): string {
    return `sniway-${this.#id}-${side}`;
  }

  #ip(args: string): void {
    const problem = ip(args);
    if (problem !== null) throw new Error(problem);
  }
}

class PeerProcess implements NetworkPeer {
  readonly #running: Running;

  constructor(running: Running) {
    this.#running = running;
  }

  get output(): () => string {
    return this.#running.stdout;
  }

  tell(command: string): void {
    this.#running.write(`${command}\n`);
  }

  async said(pattern: RegExp): Promise<RegExpExecArray> {
    const { stdout, stderr } = this.#running;
    const match = (): RegExpExecArray | null => pattern.exec(stdout());
    await eventually(`${String(pattern)} is said`, () => match() !== null, 30_000).catch((error: unknown) => {
      throw new Error(`the peer said:\n${stdout()}${stderr()}`, { cause: error });
    });
    return match()!;
  }
}
