import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { ByteReader } from './byte-reader.ts';

const BYTES = Uint8Array.of(0xff, 0x01, 0x02, 0x03, 0x04, 0x05, 0xfe);

test('ByteReader reads big-endian numbers and steps on', () => {
  const reader = new ByteReader(BYTES);
  assert.deepEqual([reader.u8(), reader.u16(), reader.u24()], [0xff, 0x0102, 0x030405]);
  assert.deepEqual([reader.position, reader.remaining, reader.ok, reader.done], [6, 1, true, false]);
  reader.skip(1);
  assert.deepEqual([reader.remaining, reader.ok, reader.done], [0, true, true]);
  assert.equal(new ByteReader(Uint8Array.of(0xff, 0xff, 0xff)).u24(), 0xff_ffff);
});

test('ByteReader gives views, not copies', () => {
  const bytes = Uint8Array.from(BYTES);
  const reader = new ByteReader(bytes, 1);
  const view = reader.bytes(2);
  const rest = reader.rest();
  bytes.fill(9);
  assert.deepEqual([...view], [9, 9]);
  assert.deepEqual([...rest], [9, 9, 9, 9]);
  assert.ok(reader.done);
});

test('ByteReader reads nothing outside its window', () => {
  const reader = new ByteReader(BYTES, 2, 4);
  assert.deepEqual([reader.position, reader.remaining], [2, 2]);
  assert.deepEqual([...reader.rest()], [2, 3]);
  assert.equal(reader.u8(), 0);
  assert.ok(!reader.ok);
});

test('ByteReader keeps a window that is larger than its bytes within them', () => {
  assert.equal(new ByteReader(BYTES, 5, 99).remaining, 2);
  assert.equal(new ByteReader(BYTES, 99).remaining, 0);
  assert.equal(new ByteReader(BYTES, 99).position, BYTES.length);
  assert.equal(new ByteReader(BYTES, 5, 3).remaining, 0);
});

test('ByteReader answers each read past the end with 0 or nothing, and is never ok again', () => {
  const reads: [string, (reader: ByteReader) => number][] = [
    ['u8', reader => reader.u8()],
    ['u16', reader => reader.u16()],
    ['u24', reader => reader.u24()],
    ['bytes', reader => reader.bytes(3).length],
    ['vector8', reader => reader.vector8().remaining],
    ['vector16', reader => reader.vector16().remaining],
  ];
  for (const [name, read] of reads) {
    const short = Uint8Array.of(9, 9).subarray(0, name === 'u8' ? 0 : name === 'u16' ? 1 : 2);
    const reader = new ByteReader(short);
    assert.equal(read(reader), 0, name);
    assert.deepEqual([reader.ok, reader.done, reader.remaining], [false, false, 0], name);
    assert.deepEqual([reader.u8(), reader.rest().length, reader.ok], [0, 0, false], `${name}, then more`);
  }
});

test('ByteReader refuses a read of part of what is left, and then what would have fitted', () => {
  const reader = new ByteReader(Uint8Array.of(1, 2));
  reader.skip(3);
  assert.deepEqual([reader.u8(), reader.ok], [0, false]);
});

test('ByteReader reads vectors by their length, and empty ones', () => {
  const reader = new ByteReader(Uint8Array.of(2, 7, 8, 0, 1, 9, 0, 0, 0));
  const first = reader.vector8();
  assert.deepEqual([first.position, [...first.rest()], first.done], [1, [7, 8], true]);
  assert.deepEqual([...reader.vector16().rest()], [9]);
  assert.ok(reader.vector8().done);
  assert.ok(reader.vector16().done);
  assert.ok(reader.done);
});

test('ByteReader does not let a vector run past its end, nor past the vector that holds it', () => {
  const outer = new ByteReader(Uint8Array.of(2, 3, 7, 8, 9)).vector8();
  const inner = outer.vector8();
  assert.deepEqual([outer.ok, inner.ok, inner.done, inner.remaining], [false, false, false, 0]);
  const reader = new ByteReader(Uint8Array.of(0, 2, 1));
  assert.ok(!reader.vector16().ok);
  assert.ok(!reader.ok);
});

test('ByteReader never reads outside its window, whatever is asked of it', () => {
  const call = fc.tuple(fc.constantFrom('u8', 'u16', 'u24', 'vector8', 'vector16', 'bytes'), fc.nat(40));
  fc.assert(
    fc.property(
      fc.uint8Array({ max: 12 }),
      fc.nat(14),
      fc.nat(14),
      fc.array(call),
      (bytes, start, end, calls) => {
        const reader = new ByteReader(bytes, start, end);
        const window = [...bytes.subarray(start, Math.max(start, end))];
        for (const [name, count] of calls) {
          const before = reader.position;
          const value = name === 'bytes' ? reader.bytes(count) : reader[name]();
          if (!reader.ok) {
            assert.equal(reader.remaining, 0);
            continue;
          }
          const taken = window.slice(before - start, reader.position - start);
          assert.equal(taken.length, reader.position - before);
          if (typeof value === 'number')
            assert.equal(value, Number.parseInt(Buffer.from(taken).toString('hex'), 16));
          else if (value instanceof Uint8Array) assert.deepEqual([...value], taken);
          else assert.deepEqual([...value.rest()], taken.slice(name === 'vector8' ? 1 : 2));
        }
      },
    ),
  );
});
