/** What follows an opened hello is judged by its bytes alone: not by how the network cuts them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { EchHandshake } from '../../src/ech/ech-handshake.ts';
import type { EchStep } from '../../src/ech/ech-handshake.ts';
import { EchOpener } from '../../src/ech/ech-opener.ts';
import type { EchAccepted } from '../../src/ech/ech-opener.ts';
import { EchClient, createTestKey, encodeInner } from '../support/ech-client.ts';
import { buildRetryRequest, buildServerHello } from '../support/ech-server.ts';
import { wrapMessage, wrapRecord, wrapRecords } from '../support/hello-builder.ts';
import type { HelloParts } from '../support/hello-builder.ts';
import { readHello } from '../support/hello-facts.ts';
import { fuzzSeed } from './settings.ts';

const KEY = createTestKey();
const NOTHING = new Uint8Array(0);
const CCS = wrapRecord(Uint8Array.of(1), 20);
const DATA = wrapRecord(new Uint8Array(300).fill(0xdd), 23);
const CLIENT_ALERT = wrapRecord(Uint8Array.of(1, 0), 21);
const PLAIN_SERVER_HELLO = wrapRecord(buildServerHello(new Uint8Array(32).fill(1)));
const RETRY = wrapRecord(buildRetryRequest());

/** What a whole exchange brings, told by bytes: `cuts` say how each direction is cut. */
function replay(parts: {
  accepted: EchAccepted;
  client: Uint8Array;
  answers: Uint8Array;
  after: Uint8Array;
  more: Uint8Array;
  cut: (bytes: Uint8Array) => Uint8Array[];
}): string {
  // The receiver counts what it has opened: each run needs one of its own.
  const handshake = new EchHandshake(parts.accepted);
  const sent: Uint8Array[] = [];
  let refusal = 'none';
  const note = ({ toBackend, illegal }: EchStep): void => {
    sent.push(...toBackend.map(part => Uint8Array.from(part)));
    if (illegal !== null) refusal = illegal.code;
  };
  for (const part of parts.cut(parts.client)) note(handshake.fromClient(part));
  for (const part of parts.cut(parts.answers)) note(handshake.fromBackend(part));
  for (const part of parts.cut(parts.after)) note(handshake.fromClient(part));
  for (const part of parts.cut(parts.more)) note(handshake.fromBackend(part));
  const { isDone, confirmation, wasRetried, backendAlert } = handshake;
  return JSON.stringify([
    Buffer.concat(sent).toString('hex'),
    refusal,
    isDone,
    confirmation,
    wasRetried,
    backendAlert,
  ]);
}

test('EchHandshake gives the same however the bytes are cut', () => {
  const record = fc.constantFrom(CCS, DATA, CLIENT_ALERT, PLAIN_SERVER_HELLO, RETRY, Uint8Array.of(22, 3));
  const noise = fc.array(record, { maxLength: 3 }).map(records => Buffer.concat(records));
  const answers = fc.constantFrom(RETRY, PLAIN_SERVER_HELLO, DATA, CLIENT_ALERT, NOTHING);
  const inner = fc.constantFrom<HelloParts>(
    {},
    { serverName: 'other.example' },
    { supportedVersions: [0x0303] },
  );
  const cutter = fc.array(fc.integer({ min: 1, max: 90 }), { minLength: 1, maxLength: 30 });
  fc.assert(
    fc.property(
      fc.record({ before: noise, answers, inner, payloadMax: fc.constantFrom(1, 50, 16_384), behind: noise }),
      cutter,
      ({ before, answers: answer, inner: parts, payloadMax, behind }, sizes) => {
        const client = new EchClient(KEY);
        const stream = wrapRecords(wrapMessage(client.seal(encodeInner())));
        const after = Buffer.concat([
          wrapRecords(wrapMessage(client.seal(encodeInner(parts))), payloadMax),
          behind,
        ]);
        const run = (cut: (bytes: Uint8Array) => Uint8Array[]): string => {
          const accepted = new EchOpener([KEY]).open(readHello(stream), 0x0301);
          assert.ok(accepted.kind === 'accepted');
          return replay({ accepted, client: before, answers: answer, after, more: PLAIN_SERVER_HELLO, cut });
        };
        const whole = run(bytes => [bytes]);
        assert.equal(
          run(bytes => Array.from(bytes, byte => Uint8Array.of(byte))),
          whole,
        );
        const inPieces = (bytes: Uint8Array): Uint8Array[] => {
          const pieces: Uint8Array[] = [];
          for (let at = 0, turn = 0; at < bytes.length; turn++) {
            const size = sizes[turn % sizes.length]!;
            pieces.push(bytes.subarray(at, at + size));
            at += size;
          }
          return pieces;
        };
        assert.equal(run(inPieces), whole);
      },
    ),
    { seed: fuzzSeed | 0 },
  );
});
