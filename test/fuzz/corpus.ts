/** Valid streams that mutations start from. */
import type { TestContext } from 'node:test';
import { captureNodeHello } from '../support/captures.ts';
import { buildClientHello, fragmentRecords, wrapMessage, wrapRecords } from '../support/hello-builder.ts';

const NAME = 'www.example.com';
const filled = (length: number): Uint8Array => new Uint8Array(length).fill(7);

/** What Node's server needs to accept a hello without a key share. */
const TLS12 = { cipherSuites: [0xc02b, 0xc02f], supportedVersions: [], ecPointFormats: [0] } as const;

const BUILT: readonly [Uint8Array, ...Uint8Array[]] = [
  buildClientHello({ serverName: NAME }),
  buildClientHello({ serverName: NAME, alpnProtocols: ['h2', 'http/1.1'], ecPointFormats: [0, 1, 2] }),
  buildClientHello({ serverName: 'a', sessionId: new Uint8Array(0), supportedGroups: [] }),
  buildClientHello({ serverName: `${`${'x'.repeat(63)}.`.repeat(3)}${'y'.repeat(61)}.` }),
  buildClientHello({ serverName: '127.0.0.1', alpnProtocols: ['acme-tls/1'] }),
  buildClientHello({ serverName: '[2001:db8::1]' }),
  buildClientHello({ serverName: null, alpnProtocols: ['h2'] }),
  buildClientHello({
    serverName: 'outer.example',
    cipherSuites: [0x0a0a, 0x1301, 0x1302, 0xc02b],
    supportedVersions: [0x1a1a, 0x0304, 0x0303],
    supportedGroups: [0x2a2a, 0x11ec, 0x001d],
    extensions: [
      { type: 0x3a3a, data: filled(0) },
      { type: 51, data: filled(1260) },
      { type: 0xfe0d, data: Uint8Array.of(0, ...filled(200)) },
    ],
  }),
  buildClientHello({
    serverName: NAME,
    extensions: Array.from({ length: 60 }, (_, at) => ({ type: 0x1000 + at, data: filled(at % 5) })),
  }),
  wrapRecords(wrapMessage(Uint8Array.from([3, 1, ...filled(32), 0, 0, 4, 0, 0x2f, 0, 0x35, 1, 0]))),
  fragmentRecords(buildClientHello({ serverName: NAME, alpnProtocols: ['h2'] }), 3),
  buildClientHello({ serverName: NAME, ...TLS12 }),
  fragmentRecords(buildClientHello({ serverName: 'Mail.Example.ORG', alpnProtocols: ['h2'], ...TLS12 }), 50),
  fragmentRecords(buildClientHello({ serverName: NAME }), 64),
];

/** Built hellos and some of Node's own, which differ at each run. */
export async function createCorpus(t: TestContext): Promise<readonly [Uint8Array, ...Uint8Array[]]> {
  return [
    ...BUILT,
    await captureNodeHello(t, { servername: NAME, ALPNProtocols: ['h2', 'http/1.1'] }),
    await captureNodeHello(t, { servername: NAME, maxVersion: 'TLSv1.2' }),
  ];
}
