/** What functions of the user are told: frozen, free to be kept, and safe to be shown. */
import { formatBackend } from '../backends/backend-address.ts';
import type { ClientInfo, HelloInfo, Rejection, VerdictInfo } from '../config/user-types.ts';
import { LOGGED_BYTES_MAX } from '../limits.ts';
import type { Candidate, ClientEch, Endpoint, RejectVerdict, Verdict } from '../verdict.ts';
import { computeJa3, computeJa4 } from '../wire/fingerprint.ts';
import type { HelloOffer } from '../wire/hello-offer.ts';
import { escapeProtocols } from '../wire/host-name.ts';
import { formatPeerAddress } from '../wire/peer-address.ts';
import type { PeerAddress } from '../wire/peer-address.ts';
import { alertName } from '../wire/tls-alert.ts';
import { versionBit, versionNames } from '../wire/tls-versions.ts';

export function helloInfo(offer: HelloOffer, ech: ClientEch | null): HelloInfo {
  let ja3: string | undefined;
  let ja4: string | undefined;
  return Object.freeze({
    serverName: offer.serverName,
    alpnProtocols: Object.freeze(escapeProtocols(offer.alpnProtocols, LOGGED_BYTES_MAX)),
    tlsVersions: versionsOf(offer),
    ech: ech?.kind === 'accepted' ? 'accepted' : offer.ech === 'outer' ? 'offered' : offer.ech,
    outerName: ech?.kind === 'accepted' ? ech.outerName : null,
    get ja3() {
      return (ja3 ??= computeJa3(offer));
    },
    get ja4() {
      return (ja4 ??= computeJa4(offer));
    },
  });
}

export function clientInfo(peer: PeerAddress, listener: string): ClientInfo {
  return Object.freeze({ address: formatPeerAddress(peer), port: peer.port, listener });
}

export function verdictInfo(verdict: Verdict): VerdictInfo {
  if (verdict.kind === 'reject') {
    const { kind, route, endReason, answer, detail } = verdict;
    return Object.freeze({ kind, route, endReason, reject: answerName(answer), detail });
  }
  const backends = new Set(verdict.candidates.map(({ endpoint }: Candidate) => formatEndpoint(endpoint)));
  return Object.freeze({ kind: 'relay', route: verdict.route, backends: Object.freeze([...backends]) });
}

/** Highest first; a client without supported_versions names its highest one only. */
function versionsOf({ supportedVersions, legacyVersion }: HelloOffer): readonly string[] {
  const offered = supportedVersions.length > 0 ? supportedVersions : [legacyVersion];
  return versionNames(offered.reduce((set, version) => set | versionBit(version), 0));
}

/** A flight is no decision's answer. */
function answerName(answer: RejectVerdict['answer']): Rejection['reject'] {
  if (answer.kind === 'flight') return 'close';
  return answer.kind === 'alert' ? (alertName(answer.description) ?? 'internal_error') : answer.kind;
}

function formatEndpoint(endpoint: Endpoint): string {
  return formatBackend(endpoint.kind === 'unix' ? endpoint : { ...endpoint, kind: 'ip' });
}
