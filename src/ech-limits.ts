/** The bounds of Encrypted ClientHello, which limits.ts hands on. */

/** Milliseconds that a backend may take to answer an inner hello; what the client sends meanwhile has to be kept. */
export const ECH_ANSWER_TIMEOUT_MS = 60_000;

/** Backends that are told of, between two reloads, because they do not know inner hellos: names clients choose may lead to many. */
export const ECH_FAULTS_MAX = 256;

/** Configurations in one ECHConfigList that is read; published lists have one to three. */
export const ECH_CONFIGS_MAX = 64;
/** Keys for Encrypted ClientHello at once: each may cost a hello 0.2 ms where all of them are tried. */
export const ECH_KEYS_MAX = 64;
/** Bytes of one file of such keys; a list may have 64 KiB, and base64 makes a third more of it. */
export const ECH_FILE_BYTES_MAX = 128 * 1024;
/** Bytes of a ServerHello, its header included, that is looked at; post-quantum shares take some two thousand. */
export const SERVER_HELLO_BYTES_MAX = 16 * 1024;
/** Bytes that clients pad shorter names to, in keys that are made here: longer than nearly all names. */
export const ECH_NAME_LENGTH = 64;

/**
 * The part of a thread's time that goes into trying keys that have not the number of a hello: anybody can send hellos
 * that none of them opens. One key takes 0.1 to 0.2 ms, so that this is hundreds of keys a second.
 */
export const TRIAL_WORK_SHARE = 0.1;
/** Milliseconds of such work at once after a pause; it takes turns with everything else that the thread does. */
export const TRIAL_WORK_BURST_MS = 50;
/** Milliseconds that one key counts as at most. */
export const TRIAL_WORK_MS_MAX = 5;

/** Bytes of an answer that tells a client of fresh keys: it must fit one send, and holds one record. */
export const RETRY_FLIGHT_BYTES_MAX = 16 * 1024;
/**
 * The part of a thread's time that goes into such answers. One takes 0.3 ms with a key of P-256 and 0.6 ms with one of
 * RSA, so that this is hundreds a second: a client asks once after its key has become stale, and more is a flood.
 */
export const RETRY_WORK_SHARE = 0.1;
/** Milliseconds of such work at once after a pause; it takes turns with everything else that the thread does. */
export const RETRY_WORK_BURST_MS = 50;
/** Milliseconds that one answer counts as at most: P-384 with a key of RSA takes less. */
export const RETRY_WORK_MS_MAX = 10;
/** Certificates in one chain, the server's own included; public ones have two to four. */
export const CHAIN_CERTIFICATES_MAX = 10;
/** Bits of RSA keys that sign: with fewer clients fail, and more take the thread for too long. */
export const RSA_BITS_MIN = 2048;
export const RSA_BITS_MAX = 4096;
/** Answers a second for one client address: a client asks once, and many may share an address. */
export const RETRIES_PER_CLIENT = 20;
/** Client addresses that are told apart within a second. */
export const RETRY_CLIENTS_MAX = 4_096;
