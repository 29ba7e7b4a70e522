/** The PROXY protocol, versions 1 and 2: values that its reader and its writer share (haproxy's proxy-protocol.txt). */

/** One end of a connection. Addresses have no zone. */
export type ConnectionEnd =
  | { readonly kind: 'tcp'; readonly address: string; readonly port: number; readonly family: 4 | 6 }
  | { readonly kind: 'unix'; readonly path: string };

/** One type-length-value of version 2 (section 2.2). */
export interface ProxyTlv {
  /** 0 to 255, see {@link TLV_TYPES}. */
  readonly type: number;
  readonly value: Uint8Array;
}

/** Registered types that are read or written here. */
export const TLV_TYPES = { alpn: 0x01, authority: 0x02, crc32c: 0x03, noop: 0x04, uniqueId: 0x05 } as const;

/** What one backend is told of a connection, in front of its hello. */
export interface ProxyOut {
  readonly version: 1 | 2;
  /** Of version 2 only. */
  readonly authority: boolean;
  readonly alpn: boolean;
  readonly uniqueId: boolean;
  readonly crc32c: boolean;
  readonly custom: readonly ProxyTlv[];
}

/** What begins version 1. */
export const V1_START = Uint8Array.from(Buffer.from('PROXY '));
/** What begins version 2. */
export const V2_SIGNATURE = Uint8Array.of(13, 10, 13, 10, 0, 13, 10, 0x51, 0x55, 0x49, 0x54, 10);
/** Signature, version and command, family and transport, length of what follows. */
export const V2_HEAD_BYTES = 16;
/** Type and length. */
export const TLV_HEAD_BYTES = 3;
/** Of each of the two names of a Unix-domain connection. */
export const V2_UNIX_BYTES = 108;
export const V2_COMMANDS = { local: 0, proxy: 1 } as const;
export const V2_FAMILIES = { unspec: 0, inet: 1, inet6: 2, unix: 3 } as const;
/** Bytes of the address block by family. */
export const V2_ADDRESS_BYTES: readonly number[] = [0, 12, 36, 2 * V2_UNIX_BYTES];
export const V2_TRANSPORTS = { unspec: 0, stream: 1, dgram: 2 } as const;
