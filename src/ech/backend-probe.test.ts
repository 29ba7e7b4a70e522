import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { buildAcceptingHello, buildRetryRequest, buildServerHello } from '../../test/support/ech-server.ts';
import { unwrapRecords, wrapMessage, wrapRecord, wrapRecords } from '../../test/support/hello-builder.ts';
import { readHello } from '../../test/support/hello-facts.ts';
import { BackendProbe, echFault } from './backend-probe.ts';
import type { EchProbeStep } from './backend-probe.ts';

const NAME = { serverName: 'secret.example', alpnProtocols: ['h2'] };
const CHANGE_CIPHER_SPEC = Uint8Array.of(20, 3, 3, 0, 1, 1);
const RANDOM = new Uint8Array(32).fill(9);
const P384 = { type: 51, data: Uint8Array.of(0, 0x18) };
const COOKIE = { type: 44, data: Uint8Array.of(0, 3, 7, 8, 9) };

const found = (kind: string): object => ({ kind: 'found', support: { kind } });
const unknown = (reason: string): object => ({ kind: 'found', support: { kind: 'unknown', reason } });

function alert(description: number): Uint8Array {
  return wrapRecord(Uint8Array.of(2, description), 21);
}

/** The hello as a handshake message. */
function messageOf(records: Uint8Array): Uint8Array {
  return unwrapRecords(records);
}

/** The second hello, without the change_cipher_spec in front of it. */
function secondHello(step: EchProbeStep): Uint8Array {
  assert.ok(step.kind === 'send');
  assert.deepEqual(Uint8Array.from(step.bytes.subarray(0, 6)), CHANGE_CIPHER_SPEC);
  return messageOf(step.bytes.subarray(6));
}

describe('BackendProbe, its hello', () => {
  test('is an inner one of TLS 1.3 for the name and the protocols', () => {
    const hello = readHello(new BackendProbe(NAME).hello);
    assert.deepEqual(
      [hello.serverName, hello.alpnProtocols, hello.ech, hello.supportedVersions],
      ['secret.example', ['h2'], 'inner', [0x0304]],
    );
    assert.equal(hello.sessionId.length, 32);
    assert.ok(hello.extensions.includes(51) && hello.extensions.includes(13));
  });

  test('asks for nothing that is not given, and is another one each time', () => {
    const nameless = { serverName: null, alpnProtocols: [] };
    const [one, two] = [new BackendProbe(nameless), new BackendProbe(nameless)];
    const { extensions } = readHello(one.hello);
    assert.ok(!extensions.includes(0) && !extensions.includes(16));
    assert.notDeepEqual(one.hello, two.hello);
    assert.deepEqual(one.hello, one.hello);
  });
});

describe('BackendProbe, the answer', () => {
  test('that accepts is found confirmed, however it is cut', () => {
    const probe = new BackendProbe(NAME);
    const answer = wrapRecords(buildAcceptingHello(messageOf(probe.hello), null, 0x1302), 20);
    const steps = Array.from(answer, byte => probe.read(Uint8Array.of(byte)));
    assert.deepEqual(steps.at(-1), found('confirmed'));
    assert.ok(steps.slice(0, -1).every(({ kind }) => kind === 'wait'));
    assert.equal(echFault({ kind: 'confirmed' }), null);
  });

  test('for another hello is found unconfirmed', () => {
    const other = messageOf(new BackendProbe(NAME).hello);
    const answers = [buildAcceptingHello(other, null), buildServerHello(RANDOM)];
    for (const answer of answers) {
      assert.deepEqual(new BackendProbe(NAME).read(wrapRecords(answer)), found('unconfirmed'));
    }
  });

  test('of an older version, by ServerHello or alert, has no TLS 1.3', () => {
    const old = wrapRecords(buildServerHello(RANDOM, 0xc02f, []));
    for (const answer of [old, alert(70)]) {
      assert.deepEqual(new BackendProbe(NAME).read(answer), found('no-tls-1.3'));
    }
  });

  test('that is another alert, plain text or malformed says nothing', () => {
    const read = (answer: Uint8Array): EchProbeStep => new BackendProbe(NAME).read(answer);
    assert.deepEqual(read(alert(112)), unknown('it answers with the alert unrecognized_name'));
    assert.deepEqual(read(alert(200)), unknown('it answers with the alert 200'));
    const http = Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n');
    assert.deepEqual(read(http), unknown('its answer is no TLS handshake'));
    const cut = wrapMessage(buildServerHello(RANDOM).subarray(4, -1), 2);
    assert.deepEqual(read(wrapRecords(cut)), unknown('its ServerHello is malformed'));
  });
});

describe('BackendProbe, a HelloRetryRequest', () => {
  test('is answered with the share and the cookie it asks for, and the rest as it was', () => {
    const probe = new BackendProbe(NAME);
    const first = messageOf(probe.hello);
    const request = buildRetryRequest(0x1301, [P384, COOKIE]);
    const second = secondHello(probe.read(Buffer.concat([wrapRecords(request), CHANGE_CIPHER_SPEC])));
    const [before, after] = [first, second].map(message => readHello(wrapRecords(message)));
    assert.deepEqual(after?.extensions, [...(before?.extensions ?? []), 44]);
    // Version and random.
    assert.deepEqual(second.subarray(4, 38), first.subarray(4, 38));
    assert.ok(Buffer.from(second).includes(Buffer.of(0, 51, 0, 103, 0, 101, 0, 0x18, 0, 97, 4)));
    assert.ok(Buffer.from(second).includes(Buffer.of(0, 44, 0, 5, ...COOKIE.data)));
    const accepted = buildAcceptingHello(first, { request, hello: second });
    assert.deepEqual(probe.read(wrapRecords(accepted)), found('confirmed'));
    assert.ok(probe.wasRetried);
  });

  test('for a cookie alone keeps the share', () => {
    const probe = new BackendProbe(NAME);
    const first = Buffer.from(messageOf(probe.hello));
    const shareAt = first.indexOf(Buffer.of(0, 51, 0, 38));
    assert.ok(shareAt > 0);
    const second = secondHello(probe.read(wrapRecords(buildRetryRequest(0x1301, [COOKIE]))));
    assert.ok(Buffer.from(second).includes(first.subarray(shareAt, shareAt + 42)));
    assert.deepEqual(probe.read(wrapRecords(buildServerHello(RANDOM))), found('unconfirmed'));
  });

  test('that cannot be met says nothing', () => {
    const asks = (...groups: number[]): EchProbeStep => {
      const probe = new BackendProbe(NAME);
      const requests = groups.map(group => {
        const share = { type: 51, data: Uint8Array.of(group >> 8, group & 255) };
        return wrapRecords(buildRetryRequest(0x1301, [share]));
      });
      return requests.map(request => probe.read(request)).at(-1)!;
    };
    assert.deepEqual(asks(0x11ec), unknown('it asks for a key of group 0x11ec'));
    assert.deepEqual(asks(0x001d), unknown('it asks for a key of group 0x001d'));
    assert.deepEqual(asks(0x0018, 0x0017), unknown('it asks for a third hello'));
    const hasty = Buffer.concat([buildRetryRequest(0x1301, [P384]), buildServerHello(RANDOM)]);
    const reason = 'it does not wait for the second hello it asks for';
    assert.deepEqual(new BackendProbe(NAME).read(wrapRecords(hasty)), unknown(reason));
  });

  test('followed by protocol_version says nothing: it speaks TLS 1.3', () => {
    const probe = new BackendProbe(NAME);
    probe.read(wrapRecords(buildRetryRequest(0x1301, [P384])));
    assert.deepEqual(probe.read(alert(70)), unknown('it answers with the alert protocol_version'));
  });
});
