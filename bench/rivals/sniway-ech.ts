/** Sniway with a key for Encrypted ClientHello, and clients that do not use it, pretend to, or do. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { encodeEchConfigList } from '../../src/ech/ech-config.ts';
import { KEMS } from '../../src/ech/hpke-suites.ts';
import { encodeKeyFile } from '../../src/ech/key-file.ts';
import { EchClient, createTestKey, encodeInner } from '../../test/support/ech-client.ts';
import type { TestKey } from '../../test/support/ech-client.ts';
import { wrapMessage, wrapRecords } from '../../test/support/hello-builder.ts';
import { MODE_OFFSET, MODES } from '../load/wire.ts';
import type { Mode } from '../load/wire.ts';
import type { Contender } from './contender.ts';
import { sniwayLinux } from './sniway.ts';

const KEY = createTestKey({ configId: 7 });
/** Of no key that is loaded, and with another number: nearly every GREASE hello is like this. */
const STRANGER = createTestKey({ configId: 8 });
/** Record header and handshake header. */
const BODY_OFFSET = 5 + 4;
/** About what browsers send beside what is counted here: key shares, groups, signature algorithms. */
const FILLER = { type: 0x1234, data: new Uint8Array(200) };
/** Bytes of padding, as BoringSSL and NSS have them. */
const PADDING = 64;

function encrypted(serverName: string, mode: Mode, key: TestKey): Buffer {
  const inner = encodeInner({ serverName, alpnProtocols: ['h2', 'http/1.1'] }, PADDING);
  inner[MODE_OFFSET - BODY_OFFSET] = MODES[mode].charCodeAt(0);
  const outer = { extensions: [FILLER], ...(key === STRANGER ? { serverName } : {}) };
  const hello = Buffer.from(wrapRecords(wrapMessage(new EchClient(key).seal(inner, outer))));
  // What pretends is relayed as it is: its backend reads the outer hello.
  if (key === STRANGER) hello.write(MODES[mode], MODE_OFFSET, 'latin1');
  return hello;
}

function withKeys(name: string, hello?: Contender['hello']): Contender {
  return {
    name,
    spread: false,
    prepare(task) {
      const { config, privateKey } = KEY;
      const text = encodeKeyFile(encodeEchConfigList([config]), { kem: KEMS.x25519, bytes: privateKey });
      const file = join(task.folder, 'bench.ech');
      writeFileSync(file, text, { mode: 0o600 });
      return [...(sniwayLinux.prepare?.(task) ?? []), '--ech-keys', file];
    },
    ...(hello === undefined ? {} : { hello }),
  };
}

export const sniwayEchPlain = withKeys('sniway-ech-plain');
export const sniwayEchGrease = withKeys('sniway-ech-grease', (name, mode) => encrypted(name, mode, STRANGER));
export const sniwayEchAccepted = withKeys('sniway-ech-accepted', (name, mode) => encrypted(name, mode, KEY));
