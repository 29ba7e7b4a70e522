/**
 * DNS over HTTPS (RFC 8484) on 127.0.0.1, for browsers: an address for all names below `example`, and HTTPS records
 * (RFC 9460) for some.
 */
import { decode, encode } from 'dns-packet';
import type { Answer, Packet } from 'dns-packet';
import { once } from 'node:events';
import { createServer } from 'node:https';
import type { IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';
import type { Authority } from '../../examples/demo/certificate.ts';
import { encodeRecordData, ownerOfRecord } from '../../src/ech/dns-record.ts';

export interface DohServer {
  /** As a browser's settings name it. */
  readonly template: string;
  /** RDATA of HTTPS records by their owner, in lower case. */
  readonly httpsRecords: Map<string, Uint8Array>;
  /** Adds a record: a name has these keys (an ECHConfigList) at a port. */
  publish(name: string, port: number, list: Uint8Array): void;
  /** What was asked for so far: name and type. */
  readonly questions: readonly string[];
}

/** dns-packet knows the type by its number alone. */
const HTTPS_TYPE = 'UNKNOWN_65';
const NXDOMAIN = 3;
const TTL_SECONDS = 60;
const QUESTION_BYTES_MAX = 4096;

/** Has a certificate for `localhost`, the one name that a browser knows before it can ask. */
export async function startDohServer(t: TestContext, authority: Authority): Promise<DohServer> {
  const httpsRecords = new Map<string, Uint8Array>();
  const questions: string[] = [];
  const server = createServer(await authority.issue(['localhost']), (request, response) => {
    void readQuestion(request).then(query => {
      const [question] = query?.questions ?? [];
      if (query === null || question === undefined) return response.writeHead(400).end();
      questions.push(`${question.name.toLowerCase()} ${question.type}`);
      response.writeHead(200, { 'content-type': 'application/dns-message' });
      return response.end(encode(answer(query, httpsRecords)));
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  const { port } = server.address() as AddressInfo;
  return {
    template: `https://localhost:${port}/dns-query`,
    httpsRecords,
    questions,
    publish(name, toPort, list) {
      const record = { name, port: toPort, target: null, ttlSeconds: TTL_SECONDS, isMandatory: false, list };
      const data = encodeRecordData({ ...record, alpnProtocols: ['http/1.1'] });
      httpsRecords.set(ownerOfRecord(record), data);
    },
  };
}

/** Null for what is no question. */
async function readQuestion(request: IncomingMessage): Promise<Packet | null> {
  const chunks: Buffer[] = [];
  let length = 0;
  try {
    for await (const chunk of request as AsyncIterable<Buffer>) {
      length += chunk.length;
      if (length > QUESTION_BYTES_MAX) return null;
      chunks.push(chunk);
    }
    return decode(Buffer.concat(chunks));
  } catch {
    return null;
  }
}

function answer({ id = 0, questions = [] }: Packet, httpsRecords: ReadonlyMap<string, Uint8Array>): Packet {
  const answers = questions.flatMap(({ name, type }): Answer[] => {
    const data = httpsRecords.get(name.toLowerCase());
    const record = { name, ttl: TTL_SECONDS };
    if ((type as string) === HTTPS_TYPE && data !== undefined)
      return [{ ...record, type: HTTPS_TYPE, data: Buffer.from(data) } as unknown as Answer];
    return type === 'A' && name.endsWith('.example') ? [{ ...record, type, data: '127.0.0.1' }] : [];
  });
  const isKnown = questions.every(({ name }) => name.endsWith('.example'));
  // RD, RA, and the code in the last four bits.
  return { type: 'response', id, flags: 0x0180 | (isKnown ? 0 : NXDOMAIN), questions, answers };
}
