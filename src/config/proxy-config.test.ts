/** What a configuration may say about PROXY headers, and what an operator is told of mistakes in it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PROXY_CUSTOM_BYTES_MAX, PROXY_CUSTOM_TLVS_MAX } from '../limits.ts';
import { checkConfig, inspectConfig } from './check-config.ts';
import { describePath } from './describe-path.ts';
import { readProxyOut } from './read-proxy.ts';
import type { ListenerConfig, ProxyInConfig } from './sniway-config.ts';

const ROUTE = { match: 'a.example.com', backend: '10.0.0.5:443' };

function problemsOf(input: unknown): string[] {
  return inspectConfig(input).problems.map(
    ({ path, message, severity }) => `${severity} ${describePath(path)}: ${message}`,
  );
}

function problemsOfListener(proxyProtocol: unknown, address = '*:443'): string[] {
  return problemsOf({ listen: [{ address, proxyProtocol }], routes: [ROUTE] });
}

function problemsOfRoute(keys: object): string[] {
  return problemsOf({ listen: 443, routes: [{ ...ROUTE, ...keys }] });
}

function listenersOf(...listen: readonly ListenerConfig[]) {
  return checkConfig({ listen, routes: [ROUTE] }).listeners;
}

const FROM_TEN: ProxyInConfig = { from: '10.0.0.0/8' };

test('checkConfig() reads whose PROXY headers a listener takes', () => {
  const [plain, short, full] = listenersOf(
    { address: 8441 },
    { address: '*:8442', proxyProtocol: FROM_TEN },
    {
      address: '[::1]:8443',
      proxyProtocol: { from: ['10.0.0.1', 'fd00::/8'], timeout: '500ms', required: false },
    },
  );
  assert.equal(plain?.proxyIn, null);
  assert.deepEqual(short?.proxyIn, {
    from: ['10.0.0.0/8'],
    fromUnix: false,
    timeoutMs: 3_000,
    required: true,
  });
  assert.deepEqual(full?.proxyIn, {
    from: ['10.0.0.1/32', 'fd00::/8'],
    fromUnix: false,
    timeoutMs: 500,
    required: false,
  });
});

test('checkConfig() trusts whoever may open the socket of a unix: listener', () => {
  const address = 'unix:/run/sniway.sock';
  const listeners = listenersOf(
    { address, proxyProtocol: {} },
    { address: 'fd:3', proxyProtocol: { from: ['unix', '10.0.0.0/8'] } },
    { address: 'fd:4', proxyProtocol: FROM_TEN },
  );
  assert.deepEqual(
    listeners.map(({ proxyIn }) => proxyIn?.fromUnix),
    [true, true, false],
  );
  assert.deepEqual(listeners[1]?.proxyIn?.from, ['10.0.0.0/8']);
});

test('inspectConfig() wants to know whom to believe, and warns of believing everybody', () => {
  const who =
    'error listen[0].proxyProtocol: say whose PROXY headers are to be believed: from: ["10.0.0.0/8"], or from: unix for a Unix-domain socket';
  assert.deepEqual(problemsOfListener({}), [who]);
  assert.deepEqual(problemsOfListener({ from: [] }), [who]);
  assert.deepEqual(problemsOfListener({ from: [] }, 'unix:/run/a.sock'), [who]);
  assert.deepEqual(problemsOfListener({ from: '0.0.0.0/0' }), [
    'warning listen[0].proxyProtocol.from: everybody in 0.0.0.0/0 may claim to be any client: name the addresses of your own proxies',
  ]);
});

test('inspectConfig() tells each wrong value of a listener at its place', () => {
  const cases: [listener: unknown, ...problems: string[]][] = [
    [
      { address: '*:443', proxyProtocol: { from: '10.0.0/8' } },
      'error listen[0].proxyProtocol.from: "10.0.0/8" is not a network: write 10.0.0.0/8 or fd00::/8',
    ],
    [
      { address: '*:443', proxyProtocol: { ...FROM_TEN, timeout: '0s' } },
      'error listen[0].proxyProtocol.timeout: "0s" is too short: give at least 1ms',
    ],
    [
      { address: '*:443', proxyProtocol: { ...FROM_TEN, require: true } },
      'error listen[0].proxyProtocol.require: unknown key "require" (did you mean "required"?)',
    ],
    [
      { address: '*:443', proxyProtocol: { ...FROM_TEN, required: 'no' } },
      'error listen[0].proxyProtocol.required: expected boolean, found the text "no"',
    ],
    [{ adress: '*:443' }, 'error listen[0].adress: unknown key "adress" (did you mean "address"?)'],
  ];
  for (const [listener, ...problems] of cases) {
    const found = problemsOf({ listen: [listener], routes: [ROUTE] });
    assert.ok(
      problems.every(problem => found.includes(problem)),
      found.join('\n'),
    );
  }
  assert.deepEqual(problemsOf({ listen: [443, { address: '*:443' }], routes: [ROUTE] }), [
    'error listen[1].address: "[::]:443" is listed twice',
  ]);
});

test('readProxyOut() gives what a backend is sent', () => {
  const nothing = { authority: false, alpn: false, uniqueId: false, crc32c: false, custom: [] };
  const all = { version: 2, authority: true, alpn: true, uniqueId: true, crc32c: true, custom: [] };
  assert.equal(readProxyOut({}), null);
  assert.deepEqual(readProxyOut({ proxyProtocol: 'v1' }), { version: 1, ...nothing });
  assert.deepEqual(readProxyOut({ proxyProtocol: 'v2' }), { version: 2, ...nothing });
  assert.deepEqual(readProxyOut({ proxyProtocol: 'v2', tlvs: false }), { version: 2, ...nothing });
  assert.deepEqual(readProxyOut({ proxyProtocol: 'v2', tlvs: true }), all);
  const custom = [
    { type: 0xe0, value: 'é' },
    { type: '0xEF', hex: '00FF' },
    { type: '48', base64: 'AAE=' },
    { type: 225, value: '' },
  ];
  const read = readProxyOut({ proxyProtocol: 'v2', tlvs: { alpn: false, crc32c: true, custom } });
  assert.deepEqual(read, {
    ...all,
    alpn: false,
    custom: [
      { type: 0xe0, value: Uint8Array.of(0xc3, 0xa9) },
      { type: 0xef, value: Uint8Array.of(0, 0xff) },
      { type: 0x30, value: Uint8Array.of(0, 1) },
      { type: 0xe1, value: new Uint8Array(0) },
    ],
  });
  assert.deepEqual(structuredClone(read), read);
});

test('checkConfig() lets each backend say what it is sent, and else its route', () => {
  const backends = [
    '10.0.0.1:443',
    { address: '10.0.0.2:443', proxyProtocol: 'v1' },
    { address: '10.0.0.3:443', proxyProtocol: 'v2', tlvs: { custom: [{ type: 0xe0, value: 'x' }] } },
  ] as const;
  const route = { match: 'a.example.com', backends, proxyProtocol: 'v2', tlvs: true } as const;
  const [checked] = checkConfig({ listen: 443, routes: [route] }).routes;
  const pool = checked?.action.kind === 'relay' ? checked.action.pool.backends : [];
  assert.deepEqual(
    pool.map(({ proxy }) => [proxy?.version, proxy?.authority, proxy?.custom.length]),
    [
      [2, true, 0],
      [1, false, 0],
      [2, true, 1],
    ],
  );
  const wrong = [{ address: '10.0.0.1:443', tlvs: true }];
  assert.deepEqual(problemsOf({ listen: 443, routes: [{ ...route, backends: wrong }] }), [
    'error routes[0].backends[0].tlvs: only PROXY headers of version 2 have TLVs: add proxyProtocol: v2',
  ]);
  const rejecting = { match: 'a.example.com', reject: 'close', proxyProtocol: 'v1' };
  assert.deepEqual(problemsOf({ listen: 443, routes: [rejecting] }), [
    'error routes[0].proxyProtocol: "proxyProtocol" is about backends, and this route has none: remove it',
  ]);
});

test('inspectConfig() tells what is wrong with TLVs', () => {
  const custom = (...values: object[]) => ({ proxyProtocol: 'v2', tlvs: { custom: values } });
  const cases: [keys: object, problem: RegExp][] = [
    [{ proxyProtocol: 'v3' }, /^error routes\[0\]\.proxyProtocol: "v3" is not known here.*; write v1 or v2$/],
    [{ proxyProtocol: 2 }, /^error routes\[0\]\.proxyProtocol: expected v1 or v2, found the number 2$/],
    [
      { tlvs: true },
      /^error routes\[0\]\.tlvs: only PROXY headers of version 2 have TLVs: add proxyProtocol: v2$/,
    ],
    [{ proxyProtocol: 'v1', tlvs: {} }, /^error routes\[0\]\.tlvs: only PROXY headers of version 2/],
    [{ proxyProtocol: 'v2', tlvs: { sni: true } }, /^error routes\[0\]\.tlvs\.sni: unknown key "sni"/],
    [custom({ type: 2, value: 'x' }), /tlvs\.custom\[0\]\.type: type 2 is sent with "authority: true"$/],
    [
      custom({ type: 0x20, value: 'x' }),
      /type: "32" is no type to give a value of your own; 0xE0 to 0xEF are free/,
    ],
    [custom({ type: '0xF8', value: 'x' }), /"0xF8" is no type/],
    [custom({ type: 1.5, value: 'x' }), /"1.5" is no type/],
    [custom({ type: 0, value: 'x' }), /"0" is no type/],
    [custom({ type: 0xe0 }), /tlvs\.custom\[0\]: give exactly one of "value" \(text\), "hex" and "base64"$/],
    [custom({ type: 0xe0, value: 'x', hex: '00' }), /give exactly one of/],
    [custom({ type: 0xe0, hex: '0' }), /custom\[0\]\.hex: "0" is not hexadecimal/],
    [custom({ type: 0xe0, base64: 'AA' }), /custom\[0\]\.base64: "AA" is not base64/],
    [custom({ value: 'x' }), /custom\[0\]: "type" is missing$/],
    [
      custom(...Array.from({ length: PROXY_CUSTOM_TLVS_MAX + 1 }, () => ({ type: 0xe0, value: '' }))),
      /custom: at most 16 own values$/,
    ],
    [
      custom({ type: 0xe0, value: 'x'.repeat(PROXY_CUSTOM_BYTES_MAX + 1) }),
      /custom: 2049 bytes of own values/,
    ],
  ];
  for (const [keys, expected] of cases) {
    const [problem = '', ...more] = problemsOfRoute(keys);
    assert.match(problem, expected);
    assert.deepEqual(more, []);
  }
});
