import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { describe, test } from 'node:test';
import type { PeerCertificate } from 'node:tls';
import { judgeCertificate, probeBackend } from './health-probe.ts';

const DAY_MS = 86_400_000;
const NOW_MS = Date.parse('2026-06-01T00:00:00Z');

function certificate(names: string, fromMs: number, toMs: number): PeerCertificate {
  const text = (ms: number): string => new Date(ms).toUTCString();
  const parts = {
    subject: { CN: 'x' },
    subjectaltname: names,
    valid_from: text(fromMs),
    valid_to: text(toMs),
  };
  return parts as unknown as PeerCertificate;
}

describe('judgeCertificate()', () => {
  const good = certificate('DNS:www.example.com, DNS:*.example.org', NOW_MS - DAY_MS, NOW_MS + DAY_MS);

  test('takes a certificate for the name', () => {
    assert.deepEqual(judgeCertificate('www.example.com', good, NOW_MS), {
      problem: null,
      expiresAtMs: NOW_MS + DAY_MS,
    });
    assert.equal(judgeCertificate('a.example.org', good, NOW_MS).problem, null);
  });

  test('says what is wrong with any other', () => {
    const problemOf = (name: string, shown: PeerCertificate): string | null =>
      judgeCertificate(name, shown, NOW_MS).problem;
    assert.equal(problemOf('example.net', good), 'its certificate is not valid for example.net');
    const expired = certificate('DNS:www.example.com', NOW_MS - 2 * DAY_MS, NOW_MS - DAY_MS);
    assert.equal(problemOf('www.example.com', expired), 'its certificate expired on 2026-05-31');
    const early = certificate('DNS:www.example.com', NOW_MS + DAY_MS, NOW_MS + 2 * DAY_MS);
    assert.equal(problemOf('www.example.com', early), 'its certificate is valid from 2026-06-02 on');
    assert.equal(problemOf('www.example.com', {} as PeerCertificate), 'no certificate');
  });
});

const TCP = { check: 'tcp', serverName: '', alpnProtocols: [] } as const;
const PROXY = { authority: false, alpn: false, uniqueId: false, crc32c: false, custom: [] };

describe('probeBackend()', () => {
  for (const version of [1, 2] as const) {
    test(`sends a PROXY header of version ${version} first where the backend waits for one`, async t => {
      const server = createServer();
      const header = new Promise<Buffer>(resolve => {
        server.once('connection', socket => socket.once('data', resolve));
      });
      server.listen(0, '127.0.0.1');
      await new Promise(resolve => {
        server.once('listening', resolve);
      });
      t.after(() => server.close());
      const { port } = server.address() as AddressInfo;
      const endpoint = { kind: 'tcp', address: '127.0.0.1', port, family: 4 } as const;
      const { signal } = new AbortController();
      const probe = { ...TCP, endpoint, proxy: { ...PROXY, version }, timeoutMs: 5_000, signal };
      assert.equal((await probeBackend(probe)).problem, null);
      const told = (await header).toString('latin1');
      if (version === 1)
        assert.match(told, new RegExp(`^PROXY TCP4 127\\.0\\.0\\.1 127\\.0\\.0\\.1 [0-9]+ ${port}\r\n$`));
      else assert.equal(told, '\r\n\r\n\0\r\nQUIT\n\x20\0\0\0');
    });
  }

  test('ends at its time-out, and when it is given up', async t => {
    const silent = createServer().listen(0, '127.0.0.1');
    await new Promise(resolve => {
      silent.once('listening', resolve);
    });
    t.after(() => silent.close());
    const { port } = silent.address() as AddressInfo;
    const endpoint = { kind: 'tcp', address: '127.0.0.1', port, family: 4 } as const;
    const tls = {
      ...TCP,
      check: 'tls',
      endpoint,
      proxy: null,
      serverName: 'www.example.com',
      signal: new AbortController().signal,
    } as const;
    assert.equal((await probeBackend({ ...tls, timeoutMs: 20 })).problem, 'timeout');
    const giveUp = new AbortController();
    const given = probeBackend({ ...tls, timeoutMs: 20_000, signal: giveUp.signal });
    giveUp.abort();
    assert.equal((await given).problem, 'aborted');
    assert.equal((await probeBackend({ ...tls, ...TCP, timeoutMs: 5_000 })).problem, null);
  });
});
