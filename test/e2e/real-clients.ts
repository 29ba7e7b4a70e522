/** Real TLS clients reach real TLS backends by name, end to end. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect as connectHttp2, createSecureServer } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { describe, test } from 'node:test';
import type { TestContext } from 'node:test';
import { connect } from 'node:tls';
import type { ConnectionOptions, TLSSocket } from 'node:tls';
import { needs, run } from '../support/programs.ts';
import { startProxy } from '../support/proxies.ts';
import type { TestProxy } from '../support/proxies.ts';
import { createTrustedAuthority, serveName, startTlsBackend } from '../support/tls-backends.ts';
import type { TrustedAuthority } from '../support/tls-backends.ts';
import type { EngineName } from '../engine/conformance.ts';

const APPLE = 'apple.example.com';
const PEAR = 'pear.example.com';

interface Orchard {
  readonly authority: TrustedAuthority;
  readonly proxy: TestProxy;
}

async function startOrchard(t: TestContext, engine: EngineName): Promise<Orchard> {
  const authority = await createTrustedAuthority(t);
  const tls = { ALPNProtocols: ['h2', 'http/1.1'] };
  const apple = await startTlsBackend(t, authority, { name: APPLE, serve: serveName(APPLE), tls });
  const pear = await startTlsBackend(t, authority, { name: PEAR, serve: serveName(PEAR), tls });
  const proxy = await startProxy(t, {
    engine,
    routes: [
      { match: APPLE, backend: apple.address },
      { match: '*.example.com', backend: pear.address },
    ],
  });
  return { authority, proxy };
}

async function connectTls(t: TestContext, options: ConnectionOptions): Promise<TLSSocket> {
  const socket = connect({ host: '127.0.0.1', ...options });
  t.after(() => socket.destroy());
  await once(socket, 'secureConnect');
  return socket;
}

export function describeRealClients(engine: EngineName): void {
  describe(`real clients through the ${engine} engine`, () => {
    test('openssl s_client sees the certificate of the name it asks for', needs('openssl'), async t => {
      const { authority, proxy } = await startOrchard(t, engine);
      for (const [name, version] of [
        [APPLE, '-tls1_2'],
        [PEAR, '-tls1_3'],
      ] as const) {
        const client = await run(
          t,
          [
            'openssl',
            's_client',
            '-connect',
            `127.0.0.1:${proxy.port}`,
            '-servername',
            name,
            version,
            '-CAfile',
            authority.caFile,
            '-verify_return_error',
            '-verify_hostname',
            name,
            '-alpn',
            'http/1.1',
            '-quiet',
          ],
          'GET / HTTP/1.1\r\n\r\n',
        );
        assert.match(client.stdout, new RegExp(`hello from ${name}, alpn http/1.1, TLSv1.${version.at(-1)}`));
        assert.equal((await proxy.nextEnd()).serverName, name);
      }
    });

    test('curl reaches each backend by name', needs('curl'), async t => {
      const { authority, proxy } = await startOrchard(t, engine);
      for (const name of [APPLE, PEAR]) {
        const client = await run(t, [
          'curl',
          '--silent',
          '--show-error',
          '--http1.1',
          '--cacert',
          authority.caFile,
          '--resolve',
          `${name}:${proxy.port}:127.0.0.1`,
          `https://${name}:${proxy.port}/`,
        ]);
        assert.equal(client.code, 0, client.stderr);
        assert.match(client.stdout, new RegExp(`hello from ${name}, alpn http/1.1`));
      }
    });

    test('gnutls-cli reaches each backend by name', needs('gnutls-cli'), async t => {
      const { authority, proxy } = await startOrchard(t, engine);
      const client = await run(
        t,
        [
          'gnutls-cli',
          '--x509cafile',
          authority.caFile,
          '--sni-hostname',
          PEAR,
          '--verify-hostname',
          PEAR,
          '--port',
          String(proxy.port),
          '--alpn',
          'http/1.1',
          '127.0.0.1',
        ],
        'GET / HTTP/1.1\r\n\r\n',
      );
      assert.match(client.stdout, new RegExp(`hello from ${PEAR}, alpn http/1.1`), client.stderr);
    });

    test(
      'each client sees the alert for a name that no route takes',
      needs('openssl', 'curl', 'gnutls-cli'),
      async t => {
        const { authority, proxy } = await startOrchard(t, engine);
        const name = 'not.routed.example';
        const openssl = await run(t, [
          'openssl',
          's_client',
          '-connect',
          `127.0.0.1:${proxy.port}`,
          '-servername',
          name,
        ]);
        assert.match(openssl.stderr + openssl.stdout, /unrecognized name/);
        const curl = await run(t, [
          'curl',
          '--silent',
          '--show-error',
          '--cacert',
          authority.caFile,
          '--resolve',
          `${name}:${proxy.port}:127.0.0.1`,
          `https://${name}:${proxy.port}/`,
        ]);
        assert.match(curl.stderr, /unrecognized name/);
        const gnutls = await run(t, [
          'gnutls-cli',
          '--insecure',
          '--sni-hostname',
          name,
          '--port',
          String(proxy.port),
          '127.0.0.1',
        ]);
        assert.match(
          gnutls.stderr + gnutls.stdout,
          /[Tt]he server name sent was not recognized|unrecognized/,
        );
        for (let index = 0; index < 3; index++)
          assert.equal((await proxy.nextEnd()).endReason, 'unknown-name');
      },
    );

    test('HTTP/2 runs through it', async t => {
      const authority = await createTrustedAuthority(t);
      const server = createSecureServer(await authority.issue([APPLE]), (request, response) =>
        response.end(`h2 ${request.url}`),
      ).listen(0, '127.0.0.1');
      await once(server, 'listening');
      t.after(() => server.close());
      const { port } = server.address() as AddressInfo;
      const proxy = await startProxy(t, { engine, routes: [{ match: APPLE, backend: `127.0.0.1:${port}` }] });
      const session = connectHttp2(`https://127.0.0.1:${proxy.port}`, {
        ca: authority.ca,
        servername: APPLE,
      });
      t.after(() => session.destroy());
      const answers = await Promise.all(
        Array.from({ length: 20 }, async (_, index) => {
          const stream = session.request({ ':path': `/${index}` });
          let body = '';
          for await (const chunk of stream) body += String(chunk);
          return body;
        }),
      );
      assert.deepEqual(
        answers,
        Array.from({ length: 20 }, (_, index) => `h2 /${index}`),
      );
      session.close();
      assert.deepEqual((await proxy.nextEnd()).alpnProtocols, ['h2']);
    });

    for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
      test(`a ${version} session is resumed through it`, async t => {
        const { authority, proxy } = await startOrchard(t, engine);
        const options: ConnectionOptions = {
          port: proxy.port,
          ca: authority.ca,
          servername: APPLE,
          minVersion: version,
          maxVersion: version,
        };
        const first = connect({ host: '127.0.0.1', ...options });
        t.after(() => first.destroy());
        let session: Buffer | undefined;
        first.on('session', ticket => (session = ticket));
        await once(first, 'secureConnect');
        first.resume();
        first.write('GET / HTTP/1.1\r\n\r\n');
        await once(first, 'end');
        assert.ok(session);
        const second = await connectTls(t, { ...options, session });
        assert.equal(second.isSessionReused(), true);
      });
    }

    test('100 MB go through TLS both ways, byte for byte', async t => {
      const authority = await createTrustedAuthority(t);
      const echo = await startTlsBackend(t, authority, {
        name: APPLE,
        serve: socket => void socket.pipe(socket),
      });
      const proxy = await startProxy(t, { engine, routes: [{ match: APPLE, backend: echo.address }] });
      const client = await connectTls(t, {
        port: proxy.port,
        ca: authority.ca,
        servername: APPLE,
        allowHalfOpen: true,
      } as ConnectionOptions);
      const total = 100 << 20;
      const sent = createHash('sha256');
      const received = createHash('sha256');
      let length = 0;
      client.on('data', (chunk: Buffer) => {
        received.update(chunk);
        length += chunk.length;
      });
      const ended = once(client, 'end');
      for (let written = 0; written < total; written += 1 << 20) {
        const block = randomBytes(1 << 20);
        sent.update(block);
        if (!client.write(block)) await once(client, 'drain');
      }
      client.end();
      await ended;
      assert.equal(length, total);
      assert.equal(received.digest('hex'), sent.digest('hex'));
      assert.equal((await proxy.nextEnd()).endReason, 'done');
    });
  });
}
