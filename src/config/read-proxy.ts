/** What a configuration says about PROXY headers: those a listener takes, and those a backend is sent. */
import type { ListenTarget } from '../engine/engine.ts';
import { PROXY_CUSTOM_BYTES_MAX, PROXY_HEADER_TIMEOUT_MS } from '../limits.ts';
import type { ProxyIn } from '../snapshot.ts';
import type { ProxyOut, ProxyTlv } from '../wire/proxy-types.ts';
import { parseDuration } from './duration.ts';
import type { Finding, ProblemPath } from './findings.ts';
import { errorAt } from './findings.ts';
import { parseNetwork } from './network.ts';
import { asObject, asTexts, isObject } from './read-value.ts';
import { parseBase64, parseHex, parseTlvType } from './tlv-type.ts';

/** The word for peers of Unix-domain sockets among networks. */
export const UNIX_PEERS = 'unix';

type Values = Readonly<Record<string, unknown>>;

/** What a listener takes; null for nothing. */
export function readProxyIn(value: unknown, target: ListenTarget): ProxyIn | null {
  if (!isObject(value)) return null;
  const { timeout, required } = value;
  const from = asTexts(value.from, []).map(({ text }) => text);
  const parsed = typeof timeout === 'string' ? parseDuration(timeout) : null;
  return {
    from: from.flatMap(text => {
      const network = parseNetwork(text);
      return network.ok ? [network.network] : [];
    }),
    fromUnix: from.includes(UNIX_PEERS) || (value.from === undefined && target.kind === 'unix'),
    timeoutMs: parsed?.ok === true ? parsed.ms : PROXY_HEADER_TIMEOUT_MS,
    required: required !== false,
  };
}

/** A listener that trusts nobody, or everybody. */
export function findProxyInProblems(proxy: ProxyIn | null, path: ProblemPath): Finding[] {
  if (proxy === null) return [];
  if (proxy.from.length === 0 && !proxy.fromUnix) {
    const message =
      'say whose PROXY headers are to be believed: from: ["10.0.0.0/8"], or from: unix for a Unix-domain socket';
    return [{ ...errorAt(path, message), missing: ['from'] }];
  }
  const everybody = proxy.from.find(network => network.endsWith('/0'));
  if (everybody === undefined) return [];
  const message = `everybody in ${everybody} may claim to be any client: name the addresses of your own proxies`;
  return [{ ...errorAt([...path, 'from'], message), severity: 'warning' }];
}

/** What the backend of a route, or one of several, is sent; null for nothing. */
export function readProxyOut({ proxyProtocol, tlvs }: Values): ProxyOut | null {
  if (proxyProtocol !== 'v1' && proxyProtocol !== 'v2') return null;
  const version = proxyProtocol === 'v1' ? 1 : 2;
  const chosen = asObject(tlvs);
  const wanted = version === 2 && (tlvs === true || isObject(tlvs));
  return {
    version,
    authority: wanted && chosen.authority !== false,
    alpn: wanted && chosen.alpn !== false,
    uniqueId: wanted && chosen.uniqueId !== false,
    crc32c: wanted && chosen.crc32c !== false,
    custom: wanted ? readCustom(chosen.custom).flatMap(({ tlv }) => (tlv === null ? [] : [tlv])) : [],
  };
}

/** What is wrong with those keys, beside what the schema tells. */
export function findProxyOutProblems(values: Values, path: ProblemPath): Finding[] {
  const { proxyProtocol, tlvs } = values;
  const wanted = tlvs === true || isObject(tlvs);
  if (wanted && proxyProtocol !== 'v2') {
    return [
      {
        ...errorAt([...path, 'tlvs'], 'only PROXY headers of version 2 have TLVs: add proxyProtocol: v2'),
        spot: 'key',
      },
    ];
  }
  const customPath = [...path, 'tlvs', 'custom'];
  const read = readCustom(asObject(tlvs).custom);
  const problems = read.flatMap(({ values: given, index }) => {
    const count = [given.value, given.hex, given.base64].filter(value => value !== undefined).length;
    if (count === 1) return [];
    return [errorAt([...customPath, index], 'give exactly one of "value" (text), "hex" and "base64"')];
  });
  const bytes = read.reduce((sum, { tlv }) => sum + (tlv?.value.length ?? 0), 0);
  if (bytes <= PROXY_CUSTOM_BYTES_MAX) return problems;
  const message = `${bytes} bytes of own values are too many: at most ${PROXY_CUSTOM_BYTES_MAX}`;
  return [...problems, errorAt(customPath, message)];
}

interface CustomDraft {
  readonly values: Values;
  readonly index: number;
  /** Null if something is missing or wrong. */
  readonly tlv: ProxyTlv | null;
}

function readCustom(custom: unknown): CustomDraft[] {
  if (!Array.isArray(custom)) return [];
  return custom.flatMap((values: unknown, index) =>
    isObject(values) ? [{ values, index, tlv: readTlv(values) }] : [],
  );
}

function readTlv({ type, value, hex, base64 }: Values): ProxyTlv | null {
  const parsed = typeof type === 'number' || typeof type === 'string' ? parseTlvType(type) : null;
  const bytes = readBytes(value, hex, base64);
  return parsed?.ok === true && bytes !== null ? { type: parsed.type, value: bytes } : null;
}

function readBytes(value: unknown, hex: unknown, base64: unknown): Uint8Array | null {
  if (typeof value === 'string') return Uint8Array.from(Buffer.from(value));
  const parsed =
    typeof hex === 'string' ? parseHex(hex) : typeof base64 === 'string' ? parseBase64(base64) : null;
  return parsed?.ok === true ? parsed.bytes : null;
}
