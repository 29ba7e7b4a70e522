/** A real DNS server on 127.0.0.1, over UDP and TCP, that answers by the script of its test. */
import { decode, encode, streamDecode, streamEncode, TRUNCATED_RESPONSE } from 'dns-packet';
import type { Answer, Packet } from 'dns-packet';
import { createSocket } from 'node:dgram';
import type { Socket as UdpSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import type { TestContext } from 'node:test';

export interface SrvRecord {
  readonly target: string;
  readonly port: number;
  readonly priority?: number;
  readonly weight?: number;
}

/** What the server says about one name; without records of the type asked for it says that there are none. */
export interface ZoneEntry {
  readonly a?: readonly string[];
  readonly aaaa?: readonly string[];
  readonly srv?: readonly SrvRecord[];
  readonly cname?: string;
  /** In seconds; 60 by default. */
  readonly ttl?: number;
  /** Answers with this code and nothing else; 3 is NXDOMAIN, 2 SERVFAIL, 5 REFUSED. */
  readonly rcode?: number;
  /** Types that get no answer at all. */
  readonly silent?: readonly string[];
  /** Types that are answered with SERVFAIL. */
  readonly failing?: readonly string[];
  /** UDP answers are truncated: the client must come again by TCP. */
  readonly truncated?: boolean;
  /** The answer is held back until this settles. */
  readonly until?: Promise<unknown>;
}

export interface DnsQuery {
  readonly name: string;
  readonly type: string;
  readonly transport: 'udp' | 'tcp';
}

export interface DnsServer {
  readonly port: number;
  /** `127.0.0.1:port`. */
  readonly address: string;
  /** By name in lower case; other names go to `fallback`. */
  readonly zone: Map<string, ZoneEntry>;
  /** NXDOMAIN unless a test says otherwise. */
  fallback: (name: string) => ZoneEntry;
  readonly queries: readonly DnsQuery[];
  /** Questions for one type of a name so far. */
  count(name: string, type: string): number;
  /** Resolves when a name was asked for that often in all. */
  asked(name: string, type: string, count: number): Promise<void>;
  /** Answers nothing any more; the port is closed. */
  stop(): Promise<void>;
  /** Answers at the same port again. */
  restart(): Promise<void>;
}

const NXDOMAIN = 3;
const SERVFAIL = 2;
const SECONDS = 60;
const BIND_ATTEMPTS = 20;

export async function startDnsServer(t: TestContext): Promise<DnsServer> {
  const server = new ScriptedServer();
  await server.listen();
  t.after(() => server.stop());
  return server;
}

class ScriptedServer implements DnsServer {
  readonly zone = new Map<string, ZoneEntry>();
  readonly queries: DnsQuery[] = [];
  fallback = (): ZoneEntry => ({ rcode: NXDOMAIN });
  port = 0;
  #udp: UdpSocket | null = null;
  #tcp: Server | null = null;
  readonly #sockets = new Set<Socket>();
  readonly #waiters: (() => void)[] = [];

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  count(name: string, type: string): number {
    return this.queries.filter(query => query.name === name && query.type === type).length;
  }

  async asked(name: string, type: string, count: number): Promise<void> {
    while (this.count(name, type) < count) {
      await new Promise<void>(resolve => {
        this.#waiters.push(resolve);
      });
    }
  }

  /** One port for both; another process may have the TCP port of a free UDP port. */
  async listen(): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      const udp = createSocket('udp4');
      udp.bind(this.port, '127.0.0.1');
      await once(udp, 'listening');
      const port = udp.address().port;
      const tcp = createServer(socket => this.#serve(socket));
      try {
        tcp.listen(port, '127.0.0.1');
        await once(tcp, 'listening');
      } catch (error) {
        udp.close();
        if (attempt === BIND_ATTEMPTS) throw error;
        continue;
      }
      this.port = (tcp.address() as AddressInfo).port;
      this.#udp = udp;
      this.#tcp = tcp;
      udp.on('message', (message, from) => {
        void this.#answer(decode(message), 'udp').then(reply => {
          if (reply !== null && this.#udp === udp) udp.send(encode(reply), from.port, from.address);
        });
      });
      return;
    }
  }

  async stop(): Promise<void> {
    const [udp, tcp] = [this.#udp, this.#tcp];
    if (udp === null || tcp === null) return;
    this.#udp = null;
    this.#tcp = null;
    for (const socket of this.#sockets) socket.destroy();
    const closed = Promise.all([once(udp, 'close'), once(tcp, 'close')]);
    udp.close();
    tcp.close();
    await closed;
  }

  async restart(): Promise<void> {
    await this.listen();
  }

  #serve(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => this.#sockets.delete(socket));
    let received = Buffer.alloc(0);
    socket.on('data', chunk => {
      received = Buffer.concat([received, chunk]);
      while (received.length >= 2 && received.length >= 2 + received.readUInt16BE(0)) {
        const length = 2 + received.readUInt16BE(0);
        const query = streamDecode(received.subarray(0, length));
        received = received.subarray(length);
        void this.#answer(query, 'tcp').then(reply => {
          if (reply !== null && !socket.destroyed) socket.write(streamEncode(reply));
        });
      }
    });
  }

  async #answer(query: Packet, transport: 'udp' | 'tcp'): Promise<Packet | null> {
    const [question] = query.questions ?? [];
    if (question === undefined) return null;
    const name = question.name.toLowerCase();
    this.queries.push({ name, type: question.type, transport });
    for (const waiter of this.#waiters.splice(0)) waiter();
    const entry = this.zone.get(name) ?? this.fallback();
    await entry.until;
    if (entry.silent?.includes(question.type) === true) return null;
    const rcode = entry.failing?.includes(question.type) === true ? SERVFAIL : (entry.rcode ?? 0);
    const isCut = entry.truncated === true && transport === 'udp';
    return {
      type: 'response',
      ...(query.id === undefined ? {} : { id: query.id }),
      // RD, RA, and the code in the last four bits.
      flags: 0x0180 | rcode | (isCut ? TRUNCATED_RESPONSE : 0),
      questions: [question],
      answers: rcode !== 0 || isCut ? [] : recordsOf(question.name, question.type, entry),
    };
  }
}

function recordsOf(name: string, type: string, entry: ZoneEntry): Answer[] {
  const { ttl = SECONDS, cname } = entry;
  const alias: Answer[] = cname === undefined ? [] : [{ type: 'CNAME', name, ttl, data: cname }];
  const owner = cname ?? name;
  if (type === 'A')
    return [...alias, ...(entry.a ?? []).map(data => ({ type, name: owner, ttl, data }) as const)];
  if (type === 'AAAA')
    return [...alias, ...(entry.aaaa ?? []).map(data => ({ type, name: owner, ttl, data }) as const)];
  if (type !== 'SRV') return alias;
  return (entry.srv ?? []).map(({ target, port, priority = 0, weight = 0 }) => ({
    type,
    name,
    ttl,
    data: { target, port, priority, weight },
  }));
}
