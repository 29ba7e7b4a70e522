/** Any valid hello, over any records and segments, decodes to the parts it was built of. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { buildClientHello, fragmentRecords } from '../support/hello-builder.ts';
import { describeResult, readByteByByte, readHello, readUpTo } from '../support/hello-facts.ts';
import { parseClientHello } from '../../src/wire/hello-reader.ts';
import { alpnOf, canonicalNaively, joinNaively, namesOf, splitNaively } from './naive-hello.ts';
import { fuzzSeed } from './settings.ts';

const SEED = fuzzSeed | 0;
/** The extensions that the builder writes, and the one that tells of ECH. */
const TAKEN = new Set([0, 10, 11, 13, 16, 43, 0xfe0d]);

const u16 = fc.nat(0xffff);
const label = fc.string({ unit: fc.constantFrom(...Array.from('abzAZ019-_')), minLength: 1, maxLength: 20 });
const name = fc
  .tuple(fc.array(label, { minLength: 1, maxLength: 5 }), fc.constantFrom('', '.'))
  .map(([labels, dot]) => labels.join('.') + dot);
const protocol = fc
  .uint8Array({ minLength: 1, maxLength: 255 })
  .map(bytes => Buffer.from(bytes).toString('latin1'));
const extension = fc.record({
  type: u16.filter(type => !TAKEN.has(type)),
  data: fc.uint8Array({ maxLength: 40 }),
});

const parts = fc.record({
  serverName: fc.option(name),
  alpnProtocols: fc.array(protocol, { maxLength: 5 }),
  legacyVersion: u16,
  sessionId: fc.uint8Array({ maxLength: 32 }),
  cipherSuites: fc.array(u16, { minLength: 1 }),
  supportedVersions: fc.array(u16, { maxLength: 127 }),
  supportedGroups: fc.array(u16),
  signatureAlgorithms: fc.array(u16),
  ecPointFormats: fc.array(fc.nat(255)),
  extensions: fc.uniqueArray(extension, { selector: ({ type }) => type }),
});

test('parseClientHello() decodes any hello to the parts it was built of', () => {
  fc.assert(
    fc.property(parts, fc.integer({ min: 1, max: 600 }), (built, payloadMax) => {
      const stream = buildClientHello(built);
      for (const hello of [readHello(stream), readHello(fragmentRecords(stream, payloadMax))]) {
        assert.equal(hello.serverName, built.serverName === null ? null : canonicalNaively(built.serverName));
        assert.equal(hello.rawName !== null, built.serverName !== null && hello.serverName === null);
        assert.deepEqual(hello.alpnProtocols, built.alpnProtocols);
        assert.equal(hello.legacyVersion, built.legacyVersion);
        assert.deepEqual([...hello.sessionId], [...built.sessionId]);
        assert.deepEqual(hello.cipherSuites, built.cipherSuites);
        assert.deepEqual(hello.supportedVersions, built.supportedVersions);
        assert.deepEqual(hello.supportedGroups, built.supportedGroups);
        assert.deepEqual(hello.signatureAlgorithms, built.signatureAlgorithms);
        assert.deepEqual(hello.ecPointFormats, built.ecPointFormats);
        const added = built.extensions.map(({ type }) => type);
        assert.deepEqual(hello.extensions.slice(hello.extensions.length - added.length), added);
        assert.equal(hello.ech, 'none');
      }
    }),
    { seed: SEED, numRuns: 500 },
  );
});

test('parseClientHello() and the second parser read the same in any hello', () => {
  fc.assert(
    fc.property(parts, built => {
      const stream = buildClientHello(built);
      const hello = readHello(stream);
      const naive = splitNaively(joinNaively(stream).body);
      assert.deepEqual(namesOf(naive), built.serverName === null ? [] : [built.serverName]);
      assert.deepEqual(hello.alpnProtocols, alpnOf(naive));
      assert.deepEqual(
        hello.extensions,
        naive.extensions.map(({ type }) => type),
      );
    }),
    { seed: SEED },
  );
});

test('HelloReader gives the same for any hello, however it is cut', () => {
  const cuts = fc.array(fc.nat(2_000), { maxLength: 20 }).map(list => list.toSorted((a, b) => a - b));
  fc.assert(
    fc.property(parts, cuts, fc.uint8Array(), (built, ends, behind) => {
      const hello = buildClientHello(built);
      const whole = describeResult(parseClientHello(hello));
      const stream = Buffer.concat([hello, behind]);
      assert.equal(describeResult(readUpTo(stream, ends)), whole);
      assert.equal(describeResult(readByteByByte(stream)), whole);
    }),
    { seed: SEED },
  );
});

test('parseClientHello() never throws, and any cut gives the same, for bytes that only begin like TLS', () => {
  const beginnings = fc.constantFrom<readonly number[]>(
    [],
    [22],
    [22, 3, 1],
    [22, 3, 1, 0, 60, 1, 0, 0, 56],
    [22, 3, 1, 0, 60, 1, 0, 0, 56, 3, 3, ...new Uint8Array(32), 0, 0, 2, 0x13, 1, 1, 0, 0, 13],
    [22, 3, 1, 0, 2, 1, 0, 22, 3, 1, 0],
  );
  fc.assert(
    fc.property(beginnings, fc.uint8Array({ maxLength: 80 }), (beginning, more) => {
      const stream = Uint8Array.of(...beginning, ...more);
      assert.equal(describeResult(readByteByByte(stream)), describeResult(parseClientHello(stream)));
    }),
    { seed: SEED, numRuns: 3_000 },
  );
});
