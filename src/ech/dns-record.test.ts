import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { encodeRecordData, presentRecord, presentUnknownRecord } from './dns-record.ts';
import type { EchRecord } from './dns-record.ts';

const LIST = Buffer.from('0008fe0d000401020304fe', 'hex').subarray(0, 10);
const RECORD: EchRecord = {
  name: 'secret.example',
  port: 443,
  target: null,
  ttlSeconds: 300,
  alpnProtocols: ['h2', 'http/1.1'],
  isMandatory: false,
  list: LIST,
};

/** RDATA read back by hand: priority, target, parameters. */
function decode(data: Uint8Array): { priority: number; target: string; parameters: [number, string][] } {
  const bytes = Buffer.from(data);
  const labels: string[] = [];
  let at = 2;
  for (let length = bytes[at++]!; length > 0; length = bytes[at++]!) {
    labels.push(bytes.toString('latin1', at, at + length));
    at += length;
  }
  const parameters: [number, string][] = [];
  while (at < bytes.length) {
    const length = bytes.readUInt16BE(at + 2);
    parameters.push([bytes.readUInt16BE(at), bytes.toString('hex', at + 4, at + 4 + length)]);
    at += 4 + length;
  }
  return { priority: bytes.readUInt16BE(0), target: `${labels.join('.')}.`, parameters };
}

describe('HTTPS records', () => {
  test('stand under the name itself for port 443', () => {
    assert.equal(
      presentRecord(RECORD),
      'secret.example. 300 IN HTTPS 1 . alpn="h2,http/1.1" ech=AAj+DQAEAQIDBA==',
    );
    assert.deepEqual(decode(encodeRecordData(RECORD)), {
      priority: 1,
      target: '.',
      parameters: [
        [1, '02683208687474702f312e31'],
        [5, '0008fe0d000401020304'],
      ],
    });
  });

  test('name the host for other ports, where a dot would mean the owner', () => {
    const record = { ...RECORD, port: 8443 };
    assert.equal(
      presentRecord(record),
      '_8443._https.secret.example. 300 IN HTTPS 1 secret.example. alpn="h2,http/1.1" ech=AAj+DQAEAQIDBA==',
    );
    assert.equal(decode(encodeRecordData(record)).target, 'secret.example.');
  });

  test('may lead to another host, on any port', () => {
    for (const port of [443, 8443]) {
      const record = { ...RECORD, port, target: 'edge.example' };
      assert.match(presentRecord(record), / IN HTTPS 1 edge\.example\. alpn=/);
      assert.equal(decode(encodeRecordData(record)).target, 'edge.example.');
    }
  });

  test('may be of no use without Encrypted ClientHello, and say so in front', () => {
    const record = { ...RECORD, isMandatory: true, alpnProtocols: ['h2'] };
    assert.match(presentRecord(record), / HTTPS 1 \. mandatory=ech alpn="h2" ech=/);
    assert.deepEqual(decode(encodeRecordData(record)).parameters.slice(0, 2), [
      [0, '0005'],
      [1, '026832'],
    ]);
  });

  test('are the same in the form for unknown types', () => {
    const [, length, hex] = /^secret\.example\. 300 IN TYPE65 \\# (\d+) ([0-9a-f]+)$/.exec(
      presentUnknownRecord(RECORD),
    )!;
    assert.equal(Number(length) * 2, hex!.length);
    assert.deepEqual(Buffer.from(hex!, 'hex'), Buffer.from(encodeRecordData(RECORD)));
  });
});
