/**
 * PROXY headers, built and mutated, against the promises of their reader. For a longer run set SNIWAY_FUZZ_RUNS; to
 * repeat a failure, SNIWAY_FUZZ_SEED to the number it names.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { PROXY_V2_BYTES_MAX } from '../../src/limits.ts';
import { computeCrc32c } from '../../src/wire/crc32c.ts';
import { encodeProxyHeader, encodeV1, encodeV2 } from '../../src/wire/proxy-encoder.ts';
import { readProxyHeader } from '../../src/wire/proxy-header.ts';
import type { ProxyResult } from '../../src/wire/proxy-header.ts';
import type { ConnectionEnd } from '../../src/wire/proxy-types.ts';
import { PROXY_HEADERS, mutateHeader } from './proxy-corpus.ts';
import { Random } from './random.ts';
import { fuzzRuns, fuzzSeed } from './settings.ts';

const SEED = fuzzSeed | 0;
const RUNS = fuzzRuns(50_000);

const PLAIN = { noNullPrototype: true } as const;
const port = fc.nat(0xffff);
const ipv4End = fc.record(
  {
    kind: fc.constant('tcp' as const),
    address: fc.ipV4(),
    port,
    family: fc.constant(4 as const),
  },
  PLAIN,
);
/** In the canonical spelling already. */
const ipv6End = fc.record(
  {
    kind: fc.constant('tcp' as const),
    address: fc
      .array(fc.integer({ min: 1, max: 0xffff }), { minLength: 8, maxLength: 8 })
      .map(groups => groups.map(group => group.toString(16)).join(':')),
    port,
    family: fc.constant(6 as const),
  },
  PLAIN,
);
const unixEnd = fc.record(
  {
    kind: fc.constant('unix' as const),
    path: fc
      .uint8Array({ maxLength: 108 })
      .map(bytes => Buffer.from(bytes.filter(byte => byte > 0)).toString('latin1')),
  },
  PLAIN,
);
const tcpEnd = fc.oneof(ipv4End, ipv6End);
const tcpEnds = fc.tuple(tcpEnd, tcpEnd);
const anyEnds = fc.oneof(tcpEnds, fc.tuple(unixEnd, unixEnd), fc.constant(null));
const tlv = fc.record({
  type: fc.nat(255).filter(type => type !== 3 && type !== 5),
  value: fc.uint8Array({ maxLength: 300 }),
});
const behind = fc.uint8Array({ maxLength: 40 });

function plain(result: ProxyResult): unknown {
  if (result.kind !== 'complete') return result;
  return {
    ...result,
    tlvs: result.tlvs.map(({ type, value }) => [type, Buffer.from(value).toString('hex')]),
  };
}

test('readProxyHeader() reads back any header of version 2, and nothing behind it', () => {
  fc.assert(
    fc.property(
      anyEnds,
      fc.array(tlv, { maxLength: 5 }),
      fc.boolean(),
      behind,
      (ends, tlvs, checked, more) => {
        const header = encodeV2(ends, tlvs, checked);
        const result = readProxyHeader(Buffer.concat([header, more]));
        assert.ok(result.kind === 'complete');
        assert.equal(result.consumed, header.length);
        assert.deepEqual(result.ends, ends === null ? null : { source: ends[0], destination: ends[1] });
        const read = result.tlvs.filter(({ type }) => type !== 3);
        const expected = ends === null ? [] : tlvs;
        assert.deepEqual(
          read.map(({ type, value }) => [type, [...value]]),
          expected.map(({ type, value }) => [type, [...value]]),
        );
      },
    ),
    { seed: SEED, numRuns: 1_000 },
  );
});

test('readProxyHeader() reads back any header of version 1, and nothing behind it', () => {
  fc.assert(
    fc.property(tcpEnds, behind, ([source, destination], more) => {
      const header = encodeV1([source, destination]);
      const result = readProxyHeader(Buffer.concat([header, more]));
      assert.deepEqual(result, {
        kind: 'complete',
        version: 1,
        ends: { source, destination },
        tlvs: [],
        consumed: header.length,
      });
    }),
    { seed: SEED, numRuns: 1_000 },
  );
});

test('encodeProxyHeader() makes headers that its reader takes, whatever a client sends', () => {
  const out = fc.record({
    version: fc.constantFrom(1 as const, 2 as const),
    authority: fc.boolean(),
    alpn: fc.boolean(),
    uniqueId: fc.boolean(),
    crc32c: fc.boolean(),
    custom: fc.array(tlv, { maxLength: 3 }),
  });
  const end: fc.Arbitrary<ConnectionEnd | null> = fc.oneof(tcpEnd, unixEnd, fc.constant(null));
  const protocol = fc
    .string({ unit: 'binary', minLength: 1, maxLength: 60 })
    .map(text => Buffer.from(text).subarray(0, 255).toString('latin1'));
  const facts = fc.record({
    source: end,
    destination: end,
    serverName: fc.option(fc.constantFrom('a', 'example.com', 'x'.repeat(253))),
    alpnProtocols: fc.array(protocol, { maxLength: 40 }),
    uniqueId: fc.constant('0123456789abcdef-1'),
  });
  fc.assert(
    fc.property(out, facts, (chosen, known) => {
      const header = encodeProxyHeader(chosen, known);
      const result = readProxyHeader(header);
      assert.ok(result.kind === 'complete', JSON.stringify(result));
      assert.equal(result.consumed, header.length);
      const told = known.source?.kind === known.destination?.kind && known.source !== null;
      assert.equal(result.ends !== null, told && (chosen.version === 2 || known.source?.kind === 'tcp'));
    }),
    { seed: SEED, numRuns: 1_000 },
  );
});

/** The promises that hold for any stream. */
function checkStream(stream: Uint8Array): ProxyResult {
  const result = readProxyHeader(stream);
  let first: ProxyResult = { kind: 'incomplete' };
  for (let length = 0; length <= stream.length && first.kind === 'incomplete'; length++) {
    first = readProxyHeader(Uint8Array.from(stream.subarray(0, length)));
    if (first.kind === 'complete') assert.equal(first.consumed, length, 'complete at its last byte');
  }
  // What is refused early stays refused; what is complete does not depend on what follows.
  assert.equal(first.kind, result.kind);
  if (result.kind === 'invalid') return result;
  assert.deepEqual(plain(first), plain(result), 'byte by byte');
  if (result.kind === 'complete') checkComplete(stream, result);
  else assert.ok(stream.length < PROXY_V2_BYTES_MAX);
  return result;
}

function checkComplete(stream: Uint8Array, result: Extract<ProxyResult, { kind: 'complete' }>): void {
  assert.ok(result.consumed <= Math.min(stream.length, PROXY_V2_BYTES_MAX));
  const header = stream.subarray(0, result.consumed);
  for (const { value } of result.tlvs) {
    assert.ok(value.byteOffset + value.length <= header.byteOffset + header.length, 'views only the header');
  }
  for (const end of result.ends === null ? [] : [result.ends.source, result.ends.destination]) {
    if (end.kind === 'unix') continue;
    assert.match(end.address, end.family === 4 ? /^[0-9.]{7,15}$/ : /^[0-9a-f:.]{2,45}$/);
    assert.ok(end.port >= 0 && end.port <= 65_535);
  }
  const checksum = result.tlvs.find(({ type }) => type === 3)?.value;
  if (checksum === undefined) return;
  const copy = Uint8Array.from(header);
  copy.fill(0, checksum.byteOffset - header.byteOffset, checksum.byteOffset - header.byteOffset + 4);
  assert.equal(computeCrc32c(copy), Buffer.from(checksum).readUInt32BE());
}

test('readProxyHeader() keeps its promises for mutated headers', t => {
  t.diagnostic(`SNIWAY_FUZZ_SEED=${fuzzSeed} SNIWAY_FUZZ_RUNS=${RUNS}`);
  const seen = new Map<string, number>();
  for (let run = 0; run < RUNS; run++) {
    const random = new Random(fuzzSeed + run);
    const stream = mutateHeader(random.pick(PROXY_HEADERS), random);
    try {
      const result = checkStream(stream);
      const outcome = result.kind === 'invalid' ? result.code : result.kind;
      seen.set(outcome, (seen.get(outcome) ?? 0) + 1);
    } catch (cause) {
      const hex = Buffer.from(stream).toString('hex');
      throw new Error(`SNIWAY_FUZZ_SEED=${fuzzSeed + run} SNIWAY_FUZZ_RUNS=1, stream ${hex}`, { cause });
    }
  }
  t.diagnostic([...seen].map(([outcome, count]) => `${outcome} ${count}`).join(', '));
  if (RUNS >= 10_000) assert.equal(seen.size, 11, 'each outcome has come up');
});
