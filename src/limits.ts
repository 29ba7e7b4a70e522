/**
 * Every bound and default time-out of Sniway, with unit and reason. A number that limits anything stands here and
 * nowhere else.
 */

/** Bytes of handshake message that a ClientHello may announce; post-quantum shares and tickets stay far below. */
export const HELLO_BYTES_MAX = 64 * 1024;
/** TLS records a ClientHello may be spread over: one byte a record is legal for hellos of up to this many bytes. */
export const HELLO_RECORDS_MAX = 8192;
/** Raw stream bytes a hello can take at most: its message, plus a 5-byte header for each record. */
export const HELLO_STREAM_BYTES_MAX = 4 + HELLO_BYTES_MAX + 5 * HELLO_RECORDS_MAX;
/** Extensions in one hello; browsers send about 20. */
export const HELLO_EXTENSIONS_MAX = 1024;
/** Payload bytes of one TLSPlaintext record (RFC 8446 section 5.1). */
export const RECORD_PAYLOAD_BYTES_MAX = 16_384;
/** Bytes of a host name without its trailing dot (RFC 1035 section 2.3.4). */
export const NAME_BYTES_MAX = 253;
/** Bytes of one label of a host name (RFC 1035 section 2.3.4). */
export const LABEL_BYTES_MAX = 63;
/** Bytes of a client-chosen value (refused name, ALPN list) that reach a log line. */
export const LOGGED_BYTES_MAX = 255;

/** Milliseconds from accept until the hello must be complete: the market norm is 3 to 5 s. */
export const HELLO_TIMEOUT_MS = 5_000;
/** Milliseconds for name look-up and connecting together, over all addresses of a backend. */
export const DIAL_TIMEOUT_MS = 5_000;
/** Milliseconds between two attempts of one dial race (RFC 8305 section 5, Connection Attempt Delay). */
export const DIAL_ATTEMPT_DELAY_MS = 250;
/** Addresses of one backend that one dial tries. */
export const DIAL_ADDRESSES_MAX = 16;
/** Milliseconds that running connections get to end by themselves at shutdown. */
export const DRAIN_TIMEOUT_MS = 25_000;
/** Milliseconds that a refused client gets to read its alert before the socket is destroyed. */
export const LINGER_TIMEOUT_MS = 1_000;
/** Bytes a refused client may still send while it lingers; they are dropped, and more destroys the socket. */
export const LINGER_BYTES_MAX = 256 * 1024;
/** Milliseconds that bytes already accepted from a peer that reset may take to reach the other peer. */
export const RESET_FLUSH_TIMEOUT_MS = 1_000;
/** Milliseconds of silence before the kernel probes a peer (TCP keepalive), both sides. */
export const KEEPALIVE_DELAY_MS = 60_000;
/** Bytes of client data kept beside the hello while its backend is dialled; then the client is paused. */
export const PENDING_BYTES_MAX = 64 * 1024;
/** Bytes held per direction of a relay before the faster side is paused. */
export const RELAY_BUFFER_BYTES = 64 * 1024;
/** Connections that wait in the kernel for accept; the kernel caps it at net.core.somaxconn. */
export const LISTEN_BACKLOG = 4096;

/** Routes in one table. */
export const ROUTES_MAX = 1_000_000;
/** Characters of one pattern, regular expressions included. */
export const PATTERN_CHARS_MAX = 1024;
/**
 * Instructions of one compiled regular expression: each is looked at for each character of a name, and a repetition of
 * a few characters unfolds to hundreds of thousands, which is linear time but seconds of it.
 */
export const PATTERN_PROGRAM_MAX = 4096;
/** Listeners of one proxy. */
export const LISTENERS_MAX = 256;
/** Bytes of a configuration file. */
export const CONFIG_BYTES_MAX = 64 * 1024 * 1024;
/** Problems shown for one configuration; the rest is counted. */
export const CONFIG_PROBLEMS_MAX = 50;
/** Name look-ups under way at once; a further one fails at once instead of queueing without end. */
export const LOOKUPS_MAX = 256;
/** Bytes of log lines waiting for a slow reader; further lines are dropped and counted. */
export const LOG_BUFFER_BYTES_MAX = 4 * 1024 * 1024;
/** Milliseconds the list of this machine's own addresses is trusted before it is read again. */
export const OWN_ADDRESSES_TTL_MS = 5_000;
