/** Makes wrong and odd streams out of valid ones: in their bytes, in their message, or in their extensions. */
import { serverNameData, wrapMessage, wrapRecords } from '../support/hello-builder.ts';
import { joinNaively, splitNaively } from './naive-hello.ts';
import type { NaiveExtension } from './naive-hello.ts';
import type { Random } from './random.ts';

const BYTES = [0, 1, 2, 3, 4, 16, 20, 22, 23, 0x2e, 0x40, 0x41, 0x7f, 0x80, 0xfe, 0xff] as const;
const NAMES = [
  'a.example',
  'A.EXAMPLE.',
  'xn--bcher-kva.example',
  '_a-.0.example',
  '1.2.3.4.5',
  '127.1',
  '0x7f.1',
  '::ffff:127.0.0.1',
  'fe80::1%lo',
  '[::1]',
  '',
  '.',
  'a..b',
  'a b',
  'a\0b',
  '\xe2\x84\xaa.example',
  '*.example',
  'a:443',
  'l'.repeat(63),
  'l'.repeat(64),
  'n.'.repeat(126),
  'n.'.repeat(127),
  'n.'.repeat(128),
] as const;

/** Another stream: the same `random` gives the same one. */
export function mutateStream(stream: Uint8Array, random: Random): Uint8Array {
  switch (random.below(4)) {
    case 0:
      return mutateBytes(stream, random);
    case 1:
      return mutateBody(stream, random);
    case 2:
      return mutateExtensions(stream, random);
    default:
      return mutateLength(stream, random);
  }
}

/** A stream whose records and message are sound, so that what is inside decides. */
export function mutateInside(stream: Uint8Array, random: Random): Uint8Array {
  return random.once(3) ? mutateBody(stream, random) : mutateExtensions(stream, random);
}

function mutateBytes(stream: Uint8Array, random: Random): Uint8Array {
  let bytes = stream;
  for (let round = random.below(4); round >= 0; round--) bytes = mutateOnce(bytes, random);
  return bytes;
}

function mutateOnce(bytes: Uint8Array, random: Random): Uint8Array {
  const at = random.below(bytes.length);
  const count = 1 + random.below(random.pick([1, 4, 64]));
  const changed = Uint8Array.from(bytes);
  switch (random.below(7)) {
    case 0:
      changed[at] = (changed[at] ?? 0) ^ (1 << random.below(8));
      return changed;
    case 1:
      changed[at] = random.pick(BYTES);
      return changed;
    case 2:
      return changed.subarray(0, at);
    case 3:
      return Buffer.concat([changed.subarray(0, at), random.bytes(count), changed.subarray(at)]);
    case 4:
      return Buffer.concat([changed.subarray(0, at), changed.subarray(at + count)]);
    case 5:
      return Buffer.concat([changed.subarray(0, at + count), changed.subarray(at)]);
    default:
      return Buffer.concat([changed, random.bytes(count)]);
  }
}

/** Wraps a body in records of a random size, often the usual one. */
function rewrap(body: Uint8Array, random: Random): Uint8Array {
  const payloadMax = random.pick([16_384, 16_384, 1, 2, 1 + random.below(300)]);
  return wrapRecords(wrapMessage(body), payloadMax);
}

function mutateBody(stream: Uint8Array, random: Random): Uint8Array {
  return rewrap(mutateBytes(joinNaively(stream).body, random), random);
}

function mutateExtensions(stream: Uint8Array, random: Random): Uint8Array {
  const { head, extensions } = splitNaively(joinNaively(stream).body);
  const list = [...extensions];
  for (let round = random.below(3); round >= 0; round--) {
    const at = random.below(list.length + 1);
    const one: NaiveExtension = list[at] ?? {
      type: random.below(0x1_0000),
      data: Buffer.from(random.bytes(9)),
    };
    switch (random.below(7)) {
      case 0:
        list.splice(at, 1);
        break;
      case 1:
        list.splice(random.below(list.length + 1), 0, one);
        break;
      case 2:
        list.splice(at, 1, { type: one.type, data: Buffer.from(mutateOnce(one.data, random)) });
        break;
      case 3:
        list.splice(at, 1, { type: random.below(0x1_0000), data: one.data });
        break;
      default:
        rename(list, random);
    }
  }
  const blocks = list.map(({ type, data }) => Buffer.concat([u16(type), u16(data.length), data]));
  const block = Buffer.concat(blocks);
  return rewrap(Buffer.concat([head, u16(block.length), block]), random);
}

/** Puts a server_name where the old one was, or in front. */
function rename(list: NaiveExtension[], random: Random): void {
  const names = random.once(8) ? [random.pick(NAMES), random.pick(NAMES)] : [random.pick(NAMES)];
  const at = list.findIndex(({ type }) => type === 0);
  list.splice(Math.max(at, 0), at < 0 ? 0 : 1, { type: 0, data: Buffer.from(serverNameData(...names)) });
}

/** Changes one length field by one, to nothing or to the most it can say. */
function mutateLength(stream: Uint8Array, random: Random): Uint8Array {
  const { body } = joinNaively(stream);
  const bytes = Buffer.from(random.once(2) ? stream : wrapRecords(wrapMessage(body)));
  const [offset, width] = random.pick([[3, 2], [6, 3], ...lengthFields(body).map(addHeaders)]);
  // The fields of a fragmented stream are elsewhere: then any other bytes change.
  if (offset + width > bytes.length) return bytes;
  const value = bytes.readUIntBE(offset, width);
  const most = 2 ** (8 * width) - 1;
  const tweaked = random.pick([value + 1, value - 1, 0, most, value + random.below(300)]);
  bytes.writeUIntBE(Math.min(Math.max(tweaked, 0), most), offset, width);
  return bytes;
}

type Field = [offset: number, width: number];

/** The length fields of a body: session id, suites, compression, extensions, each extension, and the lists in them. */
function lengthFields(body: Buffer): Field[] {
  const fields: Field[] = [];
  let at = 34;
  for (const width of [1, 2, 1]) {
    fields.push([at, width]);
    at += width + body.readUIntBE(at, width);
  }
  if (at === body.length) return fields;
  fields.push([at, 2]);
  at += 2;
  while (at < body.length) {
    fields.push([at + 2, 2], [at + 4, 1], [at + 4, 2]);
    if (body.readUInt16BE(at) === 0) fields.push([at + 7, 2]);
    at += 4 + body.readUInt16BE(at + 2);
  }
  return fields;
}

function addHeaders([offset, width]: Field): Field {
  return [offset + 9, width];
}

function u16(value: number): Buffer {
  return Buffer.from([(value >> 8) & 255, value & 255]);
}
