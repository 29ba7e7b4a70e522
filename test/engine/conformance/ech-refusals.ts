/** Encrypted ClientHello that is not opened, leads nowhere, or to a backend that does not know it. */
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Socket } from 'node:net';
import { describe, test } from 'node:test';
import type { TestContext } from 'node:test';
import { encodeEchConfigList } from '../../../src/ech/ech-config.ts';
import { GROUPS } from '../../../src/ech/key-exchange.ts';
import { FLIGHT_LINGER_TIMEOUT_MS } from '../../../src/limits.ts';
import type { SniwayConfig } from '../../../src/index.ts';
import { ALERTS } from '../../../src/wire/tls-alert.ts';
import {
  ECH,
  EchClient,
  INNER_MARK,
  PUBLIC_NAME,
  createTestKey,
  encodeInner,
} from '../../support/ech-client.ts';
import {
  finish,
  seal,
  told,
  ACCEPTED,
  SECRET,
  SERVER_HELLO,
  expectAlert,
  expectBytes,
  startRig,
} from '../../support/ech-rig.ts';
import { buildClientHello, wrapMessage, wrapRecord, wrapRecords } from '../../support/hello-builder.ts';
import { connectRaw, readToEnd, startBackend } from '../../support/peers.ts';
import { createTrustedAuthority } from '../../support/tls-backends.ts';
import { createClientKey, keyShare, readFlight } from '../../support/tls13-client.ts';
import type { EngineName } from '../conformance.ts';

export function describeEchRefusals(engine: EngineName): void {
  describe('Encrypted ClientHello that is not opened', () => {
    test('goes where its outer name leads, as it came, whatever key it pretends to have', async t => {
      const rig = await startRig(t, engine, { routes: [{ match: 'site.example' }] });
      const sent = seal(createTestKey(), {}, { serverName: 'site.example' }).outer;
      const client = await connectRaw(t, rig.proxy.port);
      client.write(sent);
      const server = await rig.backend.next();
      await expectBytes(server, sent);
      const record = await finish(client, server, rig);
      const expected = {
        ...ACCEPTED,
        ech: 'not-ours',
        serverName: 'site.example',
        outerName: null,
        echBackend: null,
      };
      assert.deepEqual(told(record), expected);
    });

    test('goes to the fallback where its outer name is a public name', async t => {
      const fallback = await startBackend(t);
      const routes = [{ name: 'fallback', match: 'unused.example', backend: `127.0.0.1:${fallback.port}` }];
      const rig = await startRig(t, engine, { routes, ech: { fallback: 'fallback' } });
      const sent = seal(createTestKey()).outer;
      const client = await connectRaw(t, rig.proxy.port);
      client.write(sent);
      const server = await fallback.next();
      await expectBytes(server, sent);
      const record = await finish(client, server, rig);
      assert.deepEqual(
        [record.ech, record.route, record.serverName],
        ['undecryptable', 'fallback', PUBLIC_NAME],
      );
    });

    for (const [data, alert, code] of [
      [[], ALERTS.decode_error, 'ech-malformed'],
      [[2, 0], ALERTS.illegal_parameter, 'ech-unknown-type'],
      [[1, 0], ALERTS.illegal_parameter, 'ech-inner-in-clear'],
    ] as const) {
      test(`is refused where its extension is no such: ${data.join(' ')}`, async t => {
        const rig = await startRig(t, engine);
        const client = await connectRaw(t, rig.proxy.port);
        const extensions = [{ type: ECH, data: Uint8Array.from(data) }];
        client.write(buildClientHello({ serverName: SECRET, extensions }));
        await expectAlert(client, alert);
        client.end();
        assert.deepEqual((await rig.proxy.nextEnd()).detail, code);
      });
    }

    test('is refused with the alert that fits where it breaks the rules', async t => {
      const rig = await startRig(t, engine);
      const client = await connectRaw(t, rig.proxy.port);
      client.write(buildClientHello({ serverName: SECRET, extensions: [INNER_MARK] }));
      await expectAlert(client, ALERTS.illegal_parameter);
      client.end();
      const { ech, endReason, detail } = await rig.proxy.nextEnd();
      assert.deepEqual([ech, endReason, detail], ['illegal', 'hello-malformed', 'ech-inner-in-clear']);
    });
  });

  describe('a hello for a public name with a certificate that no key opens', () => {
    const key = createClientKey(GROUPS.x25519);

    /** A proxy that answers for its public name, and a hello with an old key. */
    async function startRetryRig(
      t: TestContext,
      retry: 'covered' | 'other name' = 'covered',
      config: Partial<SniwayConfig> = {},
    ) {
      const authority = await createTrustedAuthority(t);
      const { folder } = authority;
      const name = retry === 'covered' ? PUBLIC_NAME : 'other.example';
      const identity = await authority.issue([name]);
      const [certificate, privateKey] = [join(folder, 'public.crt'), join(folder, 'public.key')];
      writeFileSync(certificate, identity.cert);
      writeFileSync(privateKey, identity.key, { mode: 0o600 });
      const publicKey = new X509Certificate(identity.cert).publicKey;
      const rig = await startRig(t, engine, { config, ech: { retry: { certificate, key: privateKey } } });
      const outer = { supportedGroups: [GROUPS.x25519], signatureAlgorithms: [0x0403, 0x0804] };
      const body = new EchClient(createTestKey()).seal(encodeInner(), {
        ...outer,
        extensions: [keyShare(key)],
      });
      return { rig, publicKey, hello: wrapRecords(wrapMessage(body)) };
    }

    test('is told of the newest key, and of nothing else, and ends the connection itself', async t => {
      const { rig, publicKey, hello } = await startRetryRig(t);
      const client = await connectRaw(t, rig.proxy.port);
      const answered = once(client, 'data');
      client.write(hello);
      const [flight] = (await answered) as [Buffer];
      const { extensions } = readFlight(hello, flight, { key, publicKey });
      const list = Buffer.from(encodeEchConfigList([rig.key.config]));
      assert.deepEqual(
        extensions.map(({ type, data }) => [type, Buffer.from(data)]),
        [[ECH, list]],
      );
      assert.equal(client.readableEnded, false, 'the client has the last word');
      client.end(wrapRecord(new Uint8Array(40), 23));
      const record = await rig.proxy.nextEnd();
      assert.deepEqual(told(record), {
        ...ACCEPTED,
        ech: 'undecryptable',
        serverName: PUBLIC_NAME,
        outerName: null,
        echBackend: null,
      });
      assert.deepEqual([record.endReason, record.route, record.backend], ['ech-retry', null, null]);
      assert.ok(record.totalMs < FLIGHT_LINGER_TIMEOUT_MS, 'it ends with the client');
    });

    test('gets an alert if no server could answer it', async t => {
      const { rig } = await startRetryRig(t);
      const client = await connectRaw(t, rig.proxy.port);
      client.write(seal(createTestKey()).outer);
      await expectAlert(client, ALERTS.missing_extension);
      client.end();
      assert.equal((await rig.proxy.nextEnd()).detail, 'missing-extension');
    });

    test('is told no more often than the limits of the proxy and its own share allow', async t => {
      const { rig, hello } = await startRetryRig(t, 'covered', { limits: { connectionsPerClient: 2 } });
      const answered = async (): Promise<Socket> => {
        const client = await connectRaw(t, rig.proxy.port);
        client.write(hello);
        await once(client, 'data');
        return client;
      };
      const [first] = [await answered(), await answered()];
      const third = await connectRaw(t, rig.proxy.port);
      third.write(hello);
      assert.equal((await readToEnd(third)).bytes.length, 0);
      third.end();
      const refused = await rig.proxy.nextEnd();
      assert.deepEqual([refused.endReason, refused.ech], ['limit', 'undecryptable']);
      first.end();
      assert.equal((await rig.proxy.nextEnd()).endReason, 'ech-retry');
      await answered();
    });

    test('must have one of its own', async t => {
      await assert.rejects(startRetryRig(t, 'other name'), /covers none of the public names/);
    });
  });

  describe('a folder of keys with a broken file', () => {
    test('changes nothing, and is told', async t => {
      const rig = await startRig(t, engine);
      writeFileSync(join(rig.folder, 'broken.ech'), 'no key');
      await assert.rejects(
        rig.proxy.proxy.reload({ listen: '127.0.0.1:0', ...rig.config }),
        /broken\.ech" is no file of keys/,
      );
      assert.equal(rig.proxy.proxy.stats().reloads.failed, 1);
      const { outer, inner } = seal(rig.key);
      const client = await connectRaw(t, rig.proxy.port);
      client.write(outer);
      await expectBytes(await rig.backend.next(), inner);
    });
  });

  describe('the ech of routes', () => {
    test('required answers a name only through Encrypted ClientHello', async t => {
      const rig = await startRig(t, engine, { route: { ech: 'required' } });
      const plain = await connectRaw(t, rig.proxy.port);
      plain.write(buildClientHello({ serverName: SECRET }));
      await expectAlert(plain, ALERTS.unrecognized_name);
      plain.end();
      const refused = await rig.proxy.nextEnd();
      assert.deepEqual(
        [refused.endReason, refused.detail, refused.route],
        ['unknown-name', 'ech: required', null],
      );
      const { outer, inner } = seal(rig.key);
      const client = await connectRaw(t, rig.proxy.port);
      client.write(outer);
      await expectBytes(await rig.backend.next(), inner);
    });

    test('leave a name to a wider pattern where they do not take it', async t => {
      const wide = await startBackend(t);
      const routes = [{ name: 'wide', match: '*.example', backend: `127.0.0.1:${wide.port}` }];
      for (const ech of ['required', 'off'] as const) {
        const rig = await startRig(t, engine, { route: { ech }, routes });
        const client = await connectRaw(t, rig.proxy.port);
        const { outer, inner } = seal(rig.key);
        const clear = buildClientHello({ serverName: SECRET });
        client.write(ech === 'required' ? clear : outer);
        await expectBytes(await wide.next(), ech === 'required' ? clear : inner);
      }
    });

    test('off answers it only in clear', async t => {
      const rig = await startRig(t, engine, { route: { ech: 'off' } });
      const client = await connectRaw(t, rig.proxy.port);
      client.write(seal(rig.key).outer);
      await expectAlert(client, ALERTS.unrecognized_name);
      client.end();
      assert.equal((await rig.proxy.nextEnd()).detail, 'ech: off');
      const plain = await connectRaw(t, rig.proxy.port);
      const hello = buildClientHello({ serverName: SECRET });
      plain.write(hello);
      await expectBytes(await rig.backend.next(), hello);
    });
  });

  describe('an inner name that no route takes', () => {
    for (const serverName of ['other.example', null]) {
      test(`gets an alert, whatever others get: ${serverName}`, async t => {
        const config = { policies: { unknownName: 'reset', noSni: 'reset' } } as const;
        const rig = await startRig(t, engine, { config, routes: [{ match: PUBLIC_NAME }] });
        const client = await connectRaw(t, rig.proxy.port);
        client.write(seal(rig.key, { serverName }).outer);
        await expectAlert(client, ALERTS.unrecognized_name);
        client.end();
        const { ech, endReason } = await rig.proxy.nextEnd();
        assert.deepEqual([ech, endReason], ['accepted', serverName === null ? 'no-sni' : 'unknown-name']);
      });

      test(`goes to the route for such: ${serverName}`, async t => {
        const rig = await startRig(t, engine, { ech: { unknownInner: 'secret' } });
        const { outer, inner } = seal(rig.key, { serverName });
        const client = await connectRaw(t, rig.proxy.port);
        client.write(outer);
        const server = await rig.backend.next();
        await expectBytes(server, inner);
        client.end();
        server.end();
        const record = await rig.proxy.nextEnd();
        assert.deepEqual([record.route, record.serverName], ['secret', serverName]);
      });
    }
  });

  describe('a backend that does not know inner hellos', () => {
    test('may say so by an alert, which its client gets', async t => {
      const rig = await startRig(t, engine);
      const client = await connectRaw(t, rig.proxy.port);
      client.write(seal(rig.key).outer);
      const server = await rig.backend.next();
      const alert = wrapRecord(Uint8Array.of(2, ALERTS.protocol_version), 21);
      server.end(alert);
      await expectBytes(client, alert);
      client.end();
      assert.equal((await rig.proxy.nextEnd()).echBackend, 'unknown');
      assert.ok(rig.proxy.notices.some(({ message }) => message.includes('does not speak TLS 1.3')));
    });

    test('may be no TLS server at all', async t => {
      const rig = await startRig(t, engine);
      const client = await connectRaw(t, rig.proxy.port);
      client.write(seal(rig.key).outer);
      const server = await rig.backend.next();
      server.end('HTTP/1.1 400 Bad Request\r\n\r\n');
      await expectBytes(client, Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n'));
      client.end();
      const { echBackend, endReason } = await rig.proxy.nextEnd();
      assert.deepEqual([echBackend, endReason], ['unknown', 'done']);
    });

    for (const [verifyBackend, count] of [
      ['warn', 1],
      ['off', 0],
    ] as const) {
      test(`is told of ${count === 1 ? 'once' : 'never'} with verifyBackend: ${verifyBackend}`, async t => {
        const rig = await startRig(t, engine, { ech: { verifyBackend } });
        for (let index = 0; index < 3; index++) {
          const client = await connectRaw(t, rig.proxy.port);
          client.write(seal(rig.key).outer);
          const server = await rig.backend.next();
          server.write(SERVER_HELLO);
          await expectBytes(client, SERVER_HELLO);
          client.end();
          server.end();
          assert.equal((await rig.proxy.nextEnd()).echBackend, 'unconfirmed');
        }
        const warned = rig.proxy.notices.filter(({ message }) =>
          message.includes('does not support Encrypted'),
        );
        assert.equal(warned.length, count);
        if (count === 1)
          assert.ok(warned[0]!.message.includes(`127.0.0.1:${rig.backend.port} of route 'secret'`));
      });
    }
  });
}
