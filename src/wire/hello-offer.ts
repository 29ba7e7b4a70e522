/** What a ClientHello offers, as plain data: it outlives the bytes it was read from, and can be sent to other threads. */
import type { FingerprintFacts } from './fingerprint.ts';
import type { EchKind } from './hello-layout.ts';

/** Lists come in the client's order, GREASE values included; protocols are not escaped. */
export interface HelloOffer extends FingerprintFacts {
  readonly serverName: string | null;
  readonly ech: EchKind;
}

/** Copies what of a hello is worth keeping: some 60 numbers and a few short texts. What is absent comes out empty. */
export function copyOffer(hello: Partial<HelloOffer>): HelloOffer {
  return {
    serverName: hello.serverName ?? null,
    ech: hello.ech ?? 'none',
    legacyVersion: hello.legacyVersion ?? 0,
    cipherSuites: hello.cipherSuites ?? [],
    extensions: hello.extensions ?? [],
    supportedGroups: hello.supportedGroups ?? [],
    ecPointFormats: hello.ecPointFormats ?? [],
    supportedVersions: hello.supportedVersions ?? [],
    signatureAlgorithms: hello.signatureAlgorithms ?? [],
    alpnProtocols: hello.alpnProtocols ?? [],
  };
}
