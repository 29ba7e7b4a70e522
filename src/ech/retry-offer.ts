/** What a client's hello leaves to choose for a server of TLS 1.3 (RFC 8446 sections 4.1.2, 4.2 and 9.2). */
import { ByteReader } from '../wire/byte-reader.ts';
import type { ClientHello } from '../wire/client-hello.ts';
import { EXTENSIONS, SESSION_ID_OFFSET } from '../wire/hello-layout.ts';
import { echIllegal } from './ech-error.ts';
import type { EchErrorCode, EchIllegal } from './ech-error.ts';
import { GROUPS_BY_COST, SHARE_BYTES } from './key-exchange.ts';
import type { GroupId } from './key-exchange.ts';
import type { SignatureScheme } from './signing-key.ts';
import { isKnownTlsSuite } from './tls-suites.ts';
import type { TlsSuiteId } from './tls-suites.ts';

export interface RetryChoice {
  readonly kind: 'choice';
  /** The client's first choice of those known: it knows which one its machine is good at. */
  readonly suite: TlsSuiteId;
  /** Of the client's shares the one that costs least here. */
  readonly group: GroupId;
  /** The client's public key, of the right length, as a view. */
  readonly share: Uint8Array;
  /** The first of ours that the client takes. */
  readonly scheme: SignatureScheme;
}

type Shares = ReadonlyMap<number, Uint8Array>;

const TLS_1_3 = 0x0304;
const PRE_SHARED_KEY = 41;
const PSK_KEY_EXCHANGE_MODES = 45;
const KEY_SHARE = 51;

/** Never throws, whatever is in the hello. @param schemes What the certificate's key can sign with. */
export function chooseForRetry(
  hello: ClientHello,
  schemes: readonly SignatureScheme[],
): RetryChoice | EchIllegal {
  if (!hello.supportedVersions.includes(TLS_1_3)) return echIllegal('no-tls13');
  if (!offersNoCompression(hello)) return echIllegal('compression-offered');
  const fault = extensionFault(hello.extensions);
  if (fault !== null) return echIllegal(fault);
  const shares = readShares(hello);
  if (typeof shares === 'string') return echIllegal(shares);
  const suite = hello.cipherSuites.find(isKnownTlsSuite);
  if (suite === undefined) return echIllegal('no-common-cipher');
  const group = GROUPS_BY_COST.find(one => shares.has(one));
  if (group === undefined) return echIllegal('no-common-group');
  const accepted = hello.signatureAlgorithms;
  const scheme = schemes.find(({ id }) => accepted.includes(id));
  if (scheme === undefined) return echIllegal('no-common-signature');
  const share = shares.get(group);
  if (share?.length !== SHARE_BYTES[group]) return echIllegal('key-share-illegal');
  return { kind: 'choice', suite, group, share, scheme };
}

/** One method, null (RFC 8446 section 4.1.2). */
function offersNoCompression({ body }: ClientHello): boolean {
  const reader = new ByteReader(body, SESSION_ID_OFFSET);
  reader.vector8();
  reader.vector16();
  const methods = reader.vector8();
  return methods.remaining === 1 && methods.u8() === 0;
}

function extensionFault(types: readonly number[]): EchErrorCode | null {
  const wanted = [EXTENSIONS.supported_groups, EXTENSIONS.signature_algorithms, KEY_SHARE];
  const psk = types.indexOf(PRE_SHARED_KEY);
  if (psk >= 0 && psk < types.length - 1) return 'psk-not-last';
  if (psk >= 0 && !types.includes(PSK_KEY_EXCHANGE_MODES)) return 'missing-extension';
  return wanted.every(type => types.includes(type)) ? null : 'missing-extension';
}

/** The client's public keys by their groups, all of which must be offered, and once (RFC 8446 section 4.2.8). */
function readShares(hello: ClientHello): Shares | EchErrorCode {
  const shares = new Map<number, Uint8Array>();
  const data = findExtension(hello, KEY_SHARE);
  const list = data.vector16();
  if (!list.ok || !data.done) return 'key-share-malformed';
  const offered = new Set(hello.supportedGroups);
  while (list.remaining > 0) {
    const group = list.u16();
    const share = list.vector16().rest();
    if (!list.ok || share.length === 0) return 'key-share-malformed';
    if (shares.has(group) || !offered.has(group)) return 'key-share-illegal';
    shares.set(group, share);
  }
  return shares;
}

/** The data of an extension; an empty reader if the hello has it not. */
function findExtension({ body, extensionsOffset }: ClientHello, wanted: number): ByteReader {
  const reader = new ByteReader(body, extensionsOffset);
  while (reader.remaining > 0) {
    const type = reader.u16();
    const data = reader.vector16();
    if (type === wanted) return data;
  }
  return reader;
}
