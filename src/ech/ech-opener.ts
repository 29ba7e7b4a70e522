/** Opens encrypted hellos with the keys there are: what the client-facing server of RFC 9849 section 7.1 does. */
import { TRIAL_WORK_BURST_MS, TRIAL_WORK_MS_MAX, TRIAL_WORK_SHARE } from '../limits.ts';
import type { ClientHello } from '../wire/client-hello.ts';
import { encodeHandshakeRecords, encodeHelloMessage } from '../wire/hello-records.ts';
import { parseEchConfig } from './ech-config.ts';
import type { EchConfig } from './ech-config.ts';
import { echIllegal } from './ech-error.ts';
import type { EchIllegal } from './ech-error.ts';
import { additionalDataOf, readEchOuter } from './ech-extension.ts';
import type { EchOuter } from './ech-extension.ts';
import { createHpkeReceiver } from './hpke.ts';
import type { HpkeReceiver } from './hpke.ts';
import { isKnownAead, isKnownKem, isKnownSuite } from './hpke-suites.ts';
import { rebuildInnerHello } from './inner-hello.ts';
import { createKemKey } from './kem-key.ts';
import type { KemKey } from './kem-key.ts';
import { WorkBudget } from './work-budget.ts';

/** One key, as plain data that can be sent to other threads. */
export interface EchKey {
  /** The ECHConfig as it is published, version and length included. */
  readonly config: Uint8Array;
  /** 32 bytes: the private key of X25519, or the scalar of P-256. */
  readonly privateKey: Uint8Array;
}

export interface EchOpenerOptions {
  /** Refuse hellos whose name in clear is not the public name of the key that opens them. Default: false. */
  readonly requirePublicName?: boolean;
  /**
   * Try all keys, not only those that have the number in the hello, while that takes no more than TRIAL_WORK_SHARE of the
   * time. Default: false.
   */
  readonly trialDecryption?: boolean;
  /** A monotonic clock, in milliseconds, for that. Default: the one of the thread. */
  readonly nowMs?: () => number;
}

/** A hello that was opened: from here on the inner one counts, and the outer one is of no use. */
export interface EchAccepted {
  readonly kind: 'accepted';
  /** The inner hello, in memory of its own. */
  readonly hello: ClientHello;
  /** It as the backend gets it, in place of the records of the outer one. */
  readonly records: Uint8Array;
  readonly configId: number;
  /** Of the key, in lower case. */
  readonly publicName: string;
  /** What a second hello of this connection is opened with. */
  readonly context: EchContext;
}

export type EchOpening =
  /** A hello without the extension. */
  | { readonly kind: 'none' }
  /** A stale key, or a client that only pretends (GREASE): nobody can tell. The outer hello counts. */
  | {
      readonly kind: 'undecryptable';
      readonly configId: number;
      /** The name in clear is the public name of one of the keys, so that the client may mean them. */
      readonly isPublicName: boolean;
    }
  | EchAccepted
  | EchIllegal;

/** The state of one connection between its first and its second hello. */
export interface EchContext {
  readonly receiver: HpkeReceiver;
  readonly configId: number;
  readonly kdf: number;
  readonly aead: number;
}

/** What a hello was opened with. */
interface Opened {
  readonly loaded: LoadedKey;
  readonly receiver: HpkeReceiver;
  readonly plaintext: Uint8Array;
}

interface LoadedKey {
  readonly config: EchConfig;
  readonly key: KemKey;
  readonly info: Uint8Array;
  readonly publicName: string;
}

/** A second hello is preceded by a ServerHello, so that its version is settled (RFC 8446 section 5.1). */
const SECOND_RECORD_VERSION = 0x0303;
const INFO_LABEL = Buffer.from('tls ech\0');
const NONE = { kind: 'none' } as const;

export class EchOpener {
  readonly #keys: readonly LoadedKey[];
  readonly #publicNames: ReadonlySet<string>;
  readonly #requirePublicName: boolean;
  /** Of trying keys with other numbers; null if that is not wanted. */
  readonly #trials: WorkBudget | null;

  /** @throws Error if a key does not belong to its configuration; whoever reads keys has checked that. */
  constructor(keys: readonly EchKey[], options: EchOpenerOptions = {}) {
    this.#keys = keys.map(loadKey);
    this.#publicNames = new Set(this.#keys.map(({ publicName }) => publicName));
    this.#requirePublicName = options.requirePublicName === true;
    this.#trials =
      options.trialDecryption === true ? createTrialBudget(options.nowMs ?? (() => performance.now())) : null;
  }

  /**
   * Opens the first hello of a connection; what it costs is one key exchange for each key that is tried.
   *
   * @param recordVersion Of the record that the hello came in, such as 0x0301: the inner hello is sent on with it.
   */
  open(outer: ClientHello, recordVersion: number): EchOpening {
    const extension = readEchOuter(outer);
    if (extension === null) return NONE;
    if (extension.kind === 'illegal') return extension;
    const isPublicName = outer.serverName !== null && this.#publicNames.has(outer.serverName);
    const { configId, suite } = extension;
    const opened = this.#open(outer, extension);
    if (opened === null) return { kind: 'undecryptable', configId, isPublicName };
    const { loaded, receiver, plaintext } = opened;
    const { publicName } = loaded;
    if (this.#requirePublicName && outer.serverName !== publicName)
      return echIllegal('ech-other-public-name');
    const hello = rebuildInnerHello(plaintext, outer);
    if ('kind' in hello) return hello;
    const records = encodeHandshakeRecords(encodeHelloMessage(hello.body), recordVersion);
    const context = { receiver, configId, ...suite };
    return { kind: 'accepted', hello, records, configId, publicName, context };
  }

  /** The keys with the number of the hello come first, and are tried in any case. */
  #open(outer: ClientHello, extension: EchOuter): Opened | null {
    const aad = additionalDataOf(outer, extension);
    const isNumbered = ({ config }: LoadedKey): boolean => config.configId === extension.configId;
    for (const loaded of this.#keys) {
      const opened = isNumbered(loaded) ? tryKey(loaded, extension, aad) : null;
      if (opened !== null) return opened;
    }
    if (this.#trials === null) return null;
    for (const loaded of this.#keys) {
      if (isNumbered(loaded)) continue;
      const tried = this.#trials.spend(() => ({ opened: tryKey(loaded, extension, aad) }));
      if (tried === null) return null;
      if (tried.opened !== null) return tried.opened;
    }
    return null;
  }
}

function tryKey(loaded: LoadedKey, extension: EchOuter, aad: Uint8Array): Opened | null {
  const receiver = receiverFor(loaded, extension);
  const plaintext = receiver?.open(extension.payload, aad) ?? null;
  return receiver === null || plaintext === null ? null : { loaded, receiver, plaintext };
}

function createTrialBudget(nowMs: () => number): WorkBudget {
  return new WorkBudget({
    nowMs,
    share: TRIAL_WORK_SHARE,
    burstMs: TRIAL_WORK_BURST_MS,
    pieceMsMax: TRIAL_WORK_MS_MAX,
  });
}

/** A second hello, opened. */
export interface EchReopened {
  readonly kind: 'reopened';
  readonly hello: ClientHello;
  readonly records: Uint8Array;
}

/** Opens the hello that answers a HelloRetryRequest, with what has opened the first one (RFC 9849 section 7.1.1). */
export function reopenHello(outer: ClientHello, context: EchContext): EchReopened | EchIllegal {
  const extension = readEchOuter(outer);
  if (extension === null) return echIllegal('retry-without-ech');
  if (extension.kind === 'illegal') return extension;
  const { suite, configId, enc, payload } = extension;
  const isSame = configId === context.configId && suite.kdf === context.kdf && suite.aead === context.aead;
  if (!isSame || enc.length > 0) return echIllegal('retry-other-key');
  const plaintext = context.receiver.open(payload, additionalDataOf(outer, extension));
  if (plaintext === null) return echIllegal('retry-not-opened');
  const hello = rebuildInnerHello(plaintext, outer);
  if ('kind' in hello) return hello;
  const records = encodeHandshakeRecords(encodeHelloMessage(hello.body), SECOND_RECORD_VERSION);
  return { kind: 'reopened', hello, records };
}

function loadKey({ config: bytes, privateKey }: EchKey): LoadedKey {
  const config = parseEchConfig(bytes);
  const key = config !== null && isKnownKem(config.kem) ? createKemKey(config.kem, privateKey) : null;
  if (config === null || key === null || !Buffer.from(key.publicKey).equals(config.publicKey)) {
    throw new Error('a key for Encrypted ClientHello does not belong to its configuration');
  }
  const info = Buffer.concat([INFO_LABEL, config.raw]);
  return { config, key, info, publicName: config.publicName.toLowerCase() };
}

/** Null if the hello names a pair of algorithms that the key is not for, or no key of the sender. */
function receiverFor({ config, key, info }: LoadedKey, { suite, enc }: EchOuter): HpkeReceiver | null {
  const { kdf, aead } = suite;
  const isOffered = config.suites.some(offered => offered.kdf === kdf && offered.aead === aead);
  if (!isOffered || !isKnownSuite(suite) || !isKnownAead(aead)) return null;
  return createHpkeReceiver({ key, aead, enc, info });
}
