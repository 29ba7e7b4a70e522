/** What a client can seal: inner hellos of any bytes, and references to outer hellos of any kind. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { ServerMessages } from '../../src/ech/server-messages.ts';
import { rebuildInnerHello } from '../../src/ech/inner-hello.ts';
import { ALERTS } from '../../src/wire/tls-alert.ts';
import { INNER_MARK, OUTER_EXTENSIONS, encodeInner, outerExtensions } from '../support/ech-client.ts';
import { buildClientHello } from '../support/hello-builder.ts';
import type { ExtensionParts } from '../support/hello-builder.ts';
import { factsOf, readHello } from '../support/hello-facts.ts';
import { fuzzRuns, fuzzSeed } from './settings.ts';

const SETTINGS = { seed: fuzzSeed | 0, numRuns: fuzzRuns(3_000) };
const RIGHT_ALERTS: ReadonlySet<number> = new Set([ALERTS.illegal_parameter, ALERTS.decode_error]);

const type = fc.oneof(fc.nat(60), fc.constantFrom(0xfd00, 0xfe0d, 43, 0, 10, 13), fc.nat(0xffff));
const extension = fc.record({ type, data: fc.uint8Array({ maxLength: 12 }) });
const TAKEN = new Set([0, 10, 11, 13, 16, 43, 0xfe0d]);
const outerHello = fc
  .uniqueArray(
    extension.filter(({ type: number }) => !TAKEN.has(number)),
    { selector: ({ type: number }) => number, maxLength: 12 },
  )
  .map(extensions => readHello(buildClientHello({ serverName: 'public.example', extensions })));
const reference = fc.oneof(
  fc.array(type, { maxLength: 10 }).map(types => outerExtensions(...types)),
  fc.uint8Array({ maxLength: 9 }).map(data => ({ type: OUTER_EXTENSIONS, data })),
);
const mark: fc.Arbitrary<ExtensionParts> = fc.oneof(fc.constant(INNER_MARK), extension);
const sealed = fc
  .record({
    extensions: fc.array(fc.oneof(mark, reference, extension), { maxLength: 5 }),
    padding: fc.nat(40),
    spoil: fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 3 }),
    end: fc.option(fc.nat()),
  })
  .map(({ extensions, padding, spoil, end }) => {
    const bytes = encodeInner({ supportedGroups: [], extensions }, padding);
    for (const [at, value] of spoil) bytes[at % bytes.length] = value;
    return end === null ? bytes : bytes.subarray(0, end % bytes.length);
  });

test('rebuildInnerHello() never throws, never grows, and gives only hellos that can be read again', () => {
  let accepted = 0;
  fc.assert(
    fc.property(outerHello, fc.oneof(sealed, fc.uint8Array({ maxLength: 200 })), (outer, encoded) => {
      const before = Buffer.from(outer.body).toString('hex');
      const inner = rebuildInnerHello(encoded, outer);
      assert.equal(Buffer.from(outer.body).toString('hex'), before);
      if ('kind' in inner) {
        assert.ok(RIGHT_ALERTS.has(inner.alert), `${inner.code} ${inner.alert}`);
        return;
      }
      accepted++;
      // A sealed hello is within the outer one, with 16 bytes of its tag and a head of at least 8 before it.
      assert.ok(inner.body.length <= outer.body.length + encoded.length + 16 + 8);
      assert.equal(inner.extensions.includes(OUTER_EXTENSIONS), false);
      const head = [22, 3, 1, (inner.body.length + 4) >> 8, (inner.body.length + 4) & 255];
      const message = [1, 0, inner.body.length >> 8, inner.body.length & 255, ...inner.body];
      assert.deepEqual(factsOf(readHello(Uint8Array.from([...head, ...message]))), factsOf(inner));
    }),
    { ...SETTINGS, examples: [[readHello(buildClientHello({})), encodeInner()]] },
  );
  assert.ok(accepted > 0, 'some are accepted');
});

test('rebuildInnerHello() looks at each extension of a large outer hello once for the whole list', () => {
  // 127 types that are the last ones of a hello as full as hellos may be.
  const extensions = Array.from({ length: 1000 }, (_, index) => ({
    type: 0x2000 + index,
    data: new Uint8Array(index < 870 ? 64 : 1),
  }));
  const outer = readHello(buildClientHello({ serverName: null, extensions }));
  const types = extensions.slice(-127).map(({ type: number }) => number);
  const encoded = encodeInner({ extensions: [outerExtensions(...types), INNER_MARK] });
  let reads = 0;
  const counted = new Proxy(outer.body, {
    get(target, key) {
      const value: unknown = Reflect.get(target, key, target);
      if (typeof value === 'number') reads++;
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
  const view = Object.create(outer, { body: { value: counted } }) as typeof outer;
  Object.defineProperties(view, {
    sessionId: { value: outer.sessionId },
    extensionsOffset: { value: outer.extensionsOffset },
  });
  const inner = rebuildInnerHello(encoded, view);
  assert.ok(!('kind' in inner));
  assert.equal(inner.extensions.length, 5 + 127);
  assert.ok(reads >= 4 * extensions.length, `${reads} reads`);
  assert.ok(reads <= 8 * extensions.length, `${reads} reads for ${extensions.length} extensions`);
});

test('ServerMessages takes any bytes, and gives the same however they are cut', () => {
  const head = fc.constantFrom(
    [22, 3, 3, 0, 9],
    [22, 3, 3, 0, 4, 2, 0, 0, 0],
    [21, 3, 3, 0, 2, 2, 70],
    [20, 3, 3, 0, 1, 1],
  );
  const stream = fc
    .array(fc.oneof(head, fc.array(fc.nat(255), { maxLength: 20 })), { maxLength: 6 })
    .map(parts => Uint8Array.from(parts.flat()));
  fc.assert(
    fc.property(stream, bytes => {
      const whole = new ServerMessages().read(bytes);
      const cut = new ServerMessages();
      const pieces = Array.from(bytes, byte => cut.read(Uint8Array.of(byte))).flat();
      assert.deepEqual(pieces, whole);
    }),
    SETTINGS,
  );
});
