/**
 * Every bound and default time-out of Sniway, with unit and reason. A number that limits anything stands here, or in
 * ech-limits.ts, and nowhere else.
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

/** Bytes of a PROXY header of version 1, its line end included (PROXY protocol, section 2.1). */
export const PROXY_V1_BYTES_MAX = 107;
/** Bytes of a PROXY header of version 2 that is read; client certificates in it take some thousand. */
export const PROXY_V2_BYTES_MAX = 16 * 1024;
/** Bytes of a unique identifier in a PROXY header (PROXY protocol, section 2.2.5). */
export const PROXY_UNIQUE_ID_BYTES_MAX = 128;
/** Bytes of a client's ALPN extension that are told to a backend; a longer one is left out, as backends have bounds too. */
export const PROXY_ALPN_BYTES_MAX = 1024;
/** Own values in one PROXY header. */
export const PROXY_CUSTOM_TLVS_MAX = 16;
/** Bytes of all own values in one PROXY header together: nginx reads no header of more than 4096 bytes. */
export const PROXY_CUSTOM_BYTES_MAX = 2048;
/** Milliseconds from accept until an expected PROXY header must be complete: its sender is near, and sends it at once. */
export const PROXY_HEADER_TIMEOUT_MS = 3_000;
/** Networks that one listener takes PROXY headers from. */
export const PROXY_SOURCES_MAX = 1024;

/** Milliseconds from accept until the hello must be complete: the market norm is 3 to 5 s. */
export const HELLO_TIMEOUT_MS = 5_000;
/** Milliseconds for name look-up and connecting together, over all addresses of a backend. */
export const DIAL_TIMEOUT_MS = 5_000;
/** Milliseconds for one call of a user's function: a client whose hello is not answered for longer tries again. */
export const DECIDE_TIMEOUT_MS = 2_000;
/** Calls of users' functions under way at once, each of which keeps a client waiting; further ones are refused. */
export const USER_CALLS_MAX = 4_096;
/** Backends that one answer of a user's function may name: the first and as many as a connection may try after it. */
export const USER_BACKENDS_MAX = 8;
/** Milliseconds between two notices that functions of one route, or one hook, fail; failures between are counted. */
export const USER_NOTICE_MS = 10_000;
/** Milliseconds between two looks at whether anybody has subscribed to the diagnostics channels. */
export const DIAGNOSTICS_POLL_MS = 1_000;
/** Milliseconds between two attempts of one dial race (RFC 8305 section 5, Connection Attempt Delay). */
export const DIAL_ATTEMPT_DELAY_MS = 250;
/** Milliseconds until another backend is dialled beside one that does not answer: a SYN lost once is sent again by then. */
export const DIAL_BACKEND_DELAY_MS = 1_000;
/** Addresses of one backend that one dial tries. */
export const DIAL_ADDRESSES_MAX = 16;
/** Milliseconds that running connections get to end by themselves at shutdown. */
export const DRAIN_TIMEOUT_MS = 25_000;
/** Milliseconds that a refused client gets to read its alert before the socket is destroyed. */
export const LINGER_TIMEOUT_MS = 1_000;
/** Milliseconds that a client gets to end a handshake that tells it of other keys: round trips, and a look at a certificate. */
export const FLIGHT_LINGER_TIMEOUT_MS = 10_000;
/** Bytes a refused client may still send while it lingers; they are dropped, and more destroys the socket. */
export const LINGER_BYTES_MAX = 256 * 1024;
/** Milliseconds that bytes already accepted from a peer that reset may take to reach the other peer. */
export const RESET_FLUSH_TIMEOUT_MS = 1_000;
/** Milliseconds of silence before the kernel probes a peer (TCP keepalive), both sides; middleboxes forget after more. */
export const KEEPALIVE_DELAY_MS = 60_000;
/** Milliseconds between two unanswered keepalive probes. */
export const KEEPALIVE_INTERVAL_MS = 10_000;
/** Unanswered keepalive probes after which a peer counts as gone. */
export const KEEPALIVE_PROBES = 6;
/** The most probes the kernel takes (tcp(7), TCP_KEEPCNT). */
export const KEEPALIVE_PROBES_MAX = 127;
/**
 * Milliseconds after which a relay's backend gets its keepalive settings on the linux engine: probes are a minute
 * away, and connections that end before are spared four system calls.
 */
export const KEEPALIVE_ARM_MS = 5_000;
/** Bytes of client data kept beside the hello while its backend is dialled; then the client is paused. */
export const PENDING_BYTES_MAX = 64 * 1024;
/** Bytes held per direction of a relay before the faster side is paused. */
export const RELAY_BUFFER_BYTES = 64 * 1024;
/** Milliseconds that a listener which is closed goes on accepting while clients wait in its queue. */
export const QUEUE_DRAIN_MS = 1_000;
/** Milliseconds for which an address cache answers those who wait for it, after a reload has replaced it. */
export const RESOLVER_REST_MS = 60_000;
/** Connections that wait in the kernel for accept; the kernel caps it at net.core.somaxconn. */
export const LISTEN_BACKLOG = 4096;

/** Worker threads of one proxy; more than any machine has use for. */
export const WORKERS_MAX = 256;
/**
 * Milliseconds a worker polls before it sleeps while events follow each other closely: about what it takes to put a
 * thread to sleep and to wake it up.
 */
export const SPIN_MS = 0.1;
/** Bytes one receive of the linux engine asks for; a direction that fills them is bulk traffic. */
export const SCRATCH_BYTES = 64 * 1024;
/** The same for bulk traffic that has no pipe to be spliced through. */
export const BULK_SCRATCH_BYTES = 256 * 1024;
/** Bytes of a pipe that bulk traffic is spliced through: smaller ones halve the throughput. */
export const PIPE_BYTES = 1024 * 1024;
/** Bytes below which a pipe is slower than copying. */
export const PIPE_BYTES_MIN = 256 * 1024;
/** Pipes of one worker: 32 MiB of kernel memory, half of what an unprivileged user may have (pipe(7)). */
export const PIPES_MAX = 32;
/** Milliseconds without bulk traffic after which pipes are closed. */
export const PIPES_IDLE_MS = 10_000;
/** Bytes of one splice below which a direction counts as small traffic again. */
export const BULK_BYTES_MIN = 16 * 1024;
/** Rounds of reading and writing one direction gets before it gives way to other connections. */
export const RELAY_ROUNDS_MAX = 16;
/** Connections accepted in one go before those that are open get their turn. */
export const ACCEPT_BATCH_MAX = 64;
/** Milliseconds that accepting pauses when descriptors or memory have run out; then it is tried again. */
export const ACCEPT_PAUSE_MS = 100;
/** Milliseconds without running out of descriptors after which running out again is told again. */
export const EXHAUSTED_EPISODE_MS = 10_000;
/** Descriptors kept back by each worker, so that clients can be refused in an orderly way when they have run out. */
export const SPARE_DESCRIPTORS = 4;
/** Seconds the kernel may hold a client back until it sends its first byte (TCP_DEFER_ACCEPT); the least there is. */
export const DEFER_ACCEPT_S = 1;
/** Milliseconds between two looks at whether a peer has acknowledged the last bytes before its reset. */
export const OUTPUT_POLL_MS = 16;
/** Milliseconds that records of connections may wait in a worker to be announced together. */
export const RECORDS_DELAY_MS = 5;
/** Bytes of records that make a batch of their own. */
export const RECORDS_BATCH_BYTES = 64 * 1024;
/** Bytes of records on their way to a main thread that is busy; further ones are dropped and counted. */
export const RECORDS_BYTES_MAX = 16 * 1024 * 1024;
/** Milliseconds before a worker that has died is replaced; doubled each time it dies young, up to the next bound. */
export const WORKER_RESTART_MS = 100;
/** Milliseconds between two attempts at replacing a worker, at most; also the age from which on it did not die young. */
export const WORKER_RESTART_MS_MAX = 10_000;
/** Descriptors that a process has beside its connections: Node's own, logs, timers, DNS, health checks. */
export const DESCRIPTORS_OF_ITS_OWN = 128;
/** Descriptors whose owner is remembered, so that those of a dead worker can be closed. */
export const DESCRIPTORS_TRACKED_MAX = 1_048_576;

/** Backends of one pool. */
export const POOL_BACKENDS_MAX = 512;
/** Backends of all pools that connections are counted of: each takes some memory for each worker. */
export const BACKENDS_COUNTED_MAX = 65_536;
/** Backends with counters that reloads may add, beside as many as there were at the start. */
export const BACKENDS_SPARE = 4096;
/** Limits of routes and listeners that reloads may add, beside as many as there were at the start. */
export const LIMIT_SCOPES_SPARE = 4096;
/** Numbers that are given up before one is used again: long enough for messages under way to be forgotten. */
export const NUMBERS_RESTING = 256;
/** Largest weight of a backend: it bounds how long a round of turns is. */
export const WEIGHT_MAX = 1000;
/** Other backends that a connection tries when its first one fails: unless configured, and at most. */
export const RETRIES = 2;
export const RETRIES_MAX = 7;
/** Slots of a consistent hash; a prime, so that each backend's steps reach every slot. */
export const MAGLEV_SLOTS = 65_537;
/** The same for small pools, which leave each backend enough slots for an even share. */
export const MAGLEV_SLOTS_SMALL = 2039;
/** Slots a backend has at least: shares are even to about 1 % then (Maglev, section 5.3). */
export const MAGLEV_SLOTS_PER_BACKEND_MIN = 100;
/** Failures in a row after which a backend of a pool is left out for a while, unless configured; and at most. */
export const EJECTION_FAILURES = 3;
export const EJECTION_FAILURES_MAX = 1000;
/** Milliseconds for which it is left out the first time, unless configured: a restart takes about that long. */
export const EJECTION_BASE_MS = 5_000;
/** Milliseconds for which it is left out at most, unless configured. */
export const EJECTION_MAX_MS = 300_000;
/** Milliseconds until an ejection is announced: it happens in any thread, and is looked for. */
export const EJECTION_POLL_MS = 250;
/** Milliseconds between two checks of one backend, unless configured; each is up to a tenth early or late. */
export const HEALTH_INTERVAL_MS = 5_000;
/** Milliseconds that a check may take, unless configured. */
export const HEALTH_TIMEOUT_MS = 2_000;
/** Shortest interval and time-out of checks. */
export const HEALTH_MS_MIN = 100;
/** Good checks in a row after which a backend is up again, bad ones after which it is down, unless configured. */
export const HEALTH_RISE = 2;
export const HEALTH_FALL = 3;
/** The most checks in a row that can be asked for. */
export const HEALTH_COUNT_MAX = 100;
/** Days before a certificate expires from which on it is warned of, unless configured. */
export const HEALTH_EXPIRY_DAYS = 14;
/** Days that can be asked for at most. */
export const HEALTH_EXPIRY_DAYS_MAX = 3650;
/** Health checks under way at once; further ones wait for their turn. */
export const HEALTH_CHECKS_MAX = 64;
/** Look-ups, and then addresses, that `sniway doctor` is at work on at once. */
export const DOCTOR_AT_ONCE = 32;
/** Addresses that `sniway doctor` looks at; further ones are counted as left out. */
export const DOCTOR_ADDRESSES_MAX = 1_000;
/** Names that can be given to `sniway doctor`. */
export const DOCTOR_NAMES_MAX = 100;
/**
 * Milliseconds that a relay waits for its backend's first byte with the client's bytes kept for another backend; then
 * they are let go.
 */
export const REPLAY_TIMEOUT_MS = 10_000;

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
/** Milliseconds that a configuration which is a program gets to say what it exports. */
export const CONFIG_MODULE_TIMEOUT_MS = 30_000;
/** Files that one configuration includes; their bytes together stay below CONFIG_BYTES_MAX too. */
export const INCLUDED_FILES_MAX = 10_000;
/** YAML aliases, those within aliased values multiplied: enough for shared lists, too few to blow up a small file. */
export const CONFIG_ALIASES_MAX = 100;
/** The longest wait a Node timer can hold, in milliseconds (nodejs.org/api/timers.html: 2^31 - 1, nearly 25 days). */
export const DURATION_MS_MAX = 2_147_483_647;
/** Problems shown for one configuration; the rest is counted. */
export const CONFIG_PROBLEMS_MAX = 50;
/** Look-ups of configured names under way at once, for connections that wait; a further one fails at once. */
export const LOOKUPS_MAX = 256;
/** The same for names that clients chose: a flood of them takes nothing from configured names. */
export const CLIENT_LOOKUPS_MAX = 256;
/** Look-ups under way at once that nobody waits for, of configured names; further ones stand in line. */
export const REFRESHES_MAX = 64;
/** The same for names that clients chose; further ones are left to the next connection. */
export const CLIENT_REFRESHES_MAX = 32;
/** Configured names whose addresses are kept; further ones push out those that are used least. */
export const CONFIGURED_NAMES_MAX = 16_384;
/** Names that clients chose whose addresses are kept: a few MiB, 30 if each has all the addresses it may have. */
export const CLIENT_NAMES_MAX = 8_192;
/** Names that clients chose and that gave no address: kept apart, so that they push out none that did. */
export const ABSENT_NAMES_MAX = 4_096;
/** Addresses of one family kept for one name; a dial tries DIAL_ADDRESSES_MAX in all. */
export const NAME_ADDRESSES_MAX = 16;
/** Targets of one service (SRV) that are looked up, those of the lowest priorities. */
export const SERVICE_TARGETS_MAX = 16;
/** Milliseconds for one look-up, over all servers and search domains: as long as a dial has in all. */
export const LOOKUP_TIMEOUT_MS = 5_000;
/** Milliseconds an answer is kept at least: a TTL of zero would mean a question for every connection. */
export const NAME_TTL_MS_MIN = 1_000;
/** Milliseconds an answer is kept at most: containers move while their name's TTL is still ten minutes. */
export const NAME_TTL_MS_MAX = 30_000;
/** Milliseconds it is kept that a name does not exist: new names appear soon, a flood of questions is cut. */
export const NEGATIVE_TTL_MS = 5_000;
/** Milliseconds an expired answer is used while no server gives a new one (RFC 8767 section 5: one to three days). */
export const STALE_MS = 86_400_000;
/** Milliseconds for which an expired answer is used at once, with a new one being fetched beside it. */
export const STALE_REFRESH_MS = 10_000;
/** Milliseconds a connection waits for a new answer when an older expired one is at hand. */
export const STALE_WAIT_MS = 500;
/** Milliseconds between two messages of a worker that dials of one route fail: each may have its names looked up early. */
export const DIAL_FAILED_TELL_MS = 250;
/** Share of an answer's time after which a name in use is looked up anew; up to REFRESH_JITTER is taken off it. */
export const REFRESH_SHARE = 0.85;
/** Spreads the look-ups of names that were learnt together. */
export const REFRESH_JITTER = 0.1;
/** Milliseconds before a look-up that failed is tried again; doubled each time, up to the next bound (RFC 9520). */
export const LOOKUP_RETRY_MS = 1_000;
/** Milliseconds between two attempts at a name that has an expired answer, at most (RFC 8767 section 5). */
export const LOOKUP_RETRY_MS_MAX = 30_000;
/** Milliseconds that the addresses of one family wait for those of the other (RFC 8305 section 3, Resolution Delay). */
export const RESOLUTION_DELAY_MS = 50;
/** Milliseconds a DNS server gets for its first answer at least, however many servers share the time there is. */
export const DNS_TIMEOUT_MS_MIN = 250;
/** Times each DNS server is asked for a configured name, with twice the patience each time. */
export const DNS_TRIES = 3;
/** The same for names that clients chose; not alike, so that what a flood made lost is not sent again with the flood. */
export const DNS_CLIENT_TRIES = 2;
/** DNS servers asked. */
export const DNS_SERVERS_MAX = 8;
/** Search domains tried for one name (resolv.conf(5)); Kubernetes allows as many. */
export const SEARCH_DOMAINS_MAX = 32;
/** Milliseconds between two looks at whether the hosts file or resolv.conf has changed. */
export const SYSTEM_FILE_CHECK_MS = 1_000;
/** Bytes read of a hosts file; lists of blocked names take megabytes. */
export const HOSTS_BYTES_MAX = 4 * 1024 * 1024;
/** Bytes read of resolv.conf. */
export const RESOLV_CONF_BYTES_MAX = 64 * 1024;
/** Milliseconds an answer out of the hosts file is kept. */
export const HOSTS_TTL_MS = 5_000;
/** Milliseconds an answer of the system's resolver is kept, which tells no TTL. */
export const SYSTEM_TTL_MS = 10_000;
/** Milliseconds an SRV answer is kept at most: Node does not tell the TTL of SRV records. */
export const SERVICE_TTL_MS = 30_000;
/** Bytes of log lines waiting for a slow reader; further lines are dropped and counted. */
export const LOG_BUFFER_BYTES_MAX = 4 * 1024 * 1024;
/** Routes with metrics of their own, some 40 series each; further ones share one set. */
export const METRICS_ROUTES_MAX = 500;
/** Backends with metrics of their own, six series each: the first of the configuration. */
export const METRICS_BACKENDS_MAX = 2_000;
/** Milliseconds that a worker gets to answer how busy it is. */
export const LAG_PROBE_TIMEOUT_MS = 1_000;
/** Connections to the admin server at once; a scraper and a prober need one each. */
export const ADMIN_CONNECTIONS_MAX = 32;
/** Bytes of the head of one request to it. */
export const ADMIN_HEADER_BYTES_MAX = 8 * 1024;
/** Milliseconds for one whole request. */
export const ADMIN_REQUEST_TIMEOUT_MS = 5_000;
/** Milliseconds without a byte after which a connection is closed. */
export const ADMIN_IDLE_TIMEOUT_MS = 5_000;
/** Milliseconds for a whole answer, however slowly its client reads. */
export const ADMIN_RESPONSE_TIMEOUT_MS = 30_000;
/** Milliseconds that log lines get to be written at the end of the process. */
export const LOG_FLUSH_TIMEOUT_MS = 2_000;
/** The same for what is said to the operator. */
export const CONSOLE_FLUSH_TIMEOUT_MS = 1_000;
/** Milliseconds between two looks of `sniway upgrade` and `sniway reload` at whether they are answered. */
export const ANSWER_POLL_MS = 20;
/** Milliseconds that a new process gets to be ready before the upgrade counts as failed, and it is ended. */
export const UPGRADE_TIMEOUT_MS = 30_000;
/** Characters of an answer that `sniway reload` and `sniway upgrade` show. */
export const ANSWER_CHARACTERS_MAX = 64 * 1024;
/** Milliseconds that `sniway reload` waits for an answer. */
export const RELOAD_TIMEOUT_MS = 60_000;
/** Routes that are named in the message about a reload. */
export const RELOAD_NAMES_SHOWN_MAX = 5;
/** Milliseconds between two looks at whether files of the configuration have changed. */
export const WATCH_POLL_MS = 1_000;
/** Listening sockets that a process takes over at most: each listener has one for each worker. */
export const INHERITED_SOCKETS_MAX = 16_384;
/** Bytes of what a new process says of its failure. */
export const HANDOVER_TEXT_BYTES_MAX = 64 * 1024;
/** Milliseconds between two reports of what holds a draining process open. */
export const DRAIN_REPORT_MS = 10_000;
/** Milliseconds before the end of the drain time when the last report is made. */
export const DRAIN_LAST_WORD_MS = 500;
/** Connections named in such a report, the oldest first. */
export const DRAIN_REPORT_CONNECTIONS = 3;
/** Milliseconds until a message is tried again that the service manager had no room for. */
export const NOTIFY_RETRY_MS = 10;
/** Milliseconds that the service manager may take to take a message. */
export const NOTIFY_TIMEOUT_MS = 1_000;
/** Bytes read of the kernel's list of sockets, whose listening ones come first. */
export const SOCKET_LIST_BYTES_MAX = 4 * 1024 * 1024;

/** Milliseconds the list of this machine's own addresses is trusted before it is read again. */
export const OWN_ADDRESSES_TTL_MS = 5_000;

/**
 * Clients and names that limits are counted for at once. Beyond it those are forgotten that have no connection, and
 * then newcomers are not counted: filling the table must not lock anybody out.
 */
export const LIMIT_KEYS_MAX = 65_536;
/** Attempts at a lock of the limit table before the thread sleeps: it is held for less than a microsecond. */
export const LIMIT_LOCK_SPINS = 1_000;
/** Milliseconds of one such sleep: whoever holds the lock was put aside by the kernel. */
export const LIMIT_LOCK_SLEEP_MS = 0.1;
/** Milliseconds after which a lock counts as that of a dead thread. */
export const LIMIT_LOCK_STEAL_MS = 2_000;
/** Bytes of bandwidth worth waiting for: fewer would make many small pieces of a paced stream. */
export const PACE_BYTES_MIN = 16 * 1024;
/** Connections that a limit can be set to; more than there are descriptors. */
export const CONNECTIONS_MAX = 10_000_000;
/** Connections or bytes per second that a rate can be set to: what is counted stays exact below it. */
export const RATE_PER_SECOND_MAX = 1e12;
/** Bytes that a paced stream may always move at once: one receive. */
export const BANDWIDTH_BURST_MIN = 64 * 1024;
/**
 * Connections whose hello has not come yet, shared out among the workers; the oldest of whoever has most give way to
 * newcomers beyond that. A hello takes a round trip, so that this is thousands of new clients a second.
 */
export const PENDING_HELLOS = 8_192;
/** The same of one client address (IPv6: /64), many people behind one address included. */
export const PENDING_HELLOS_PER_CLIENT = 512;
/** The oldest pending connections that are compared to find whoever has most. */
export const PENDING_CANDIDATES_MAX = 16;
/** Bytes per second that a hello needs after the grace time: it bounds drips where `timeouts.hello` is long. */
export const HELLO_PACE_BYTES_PER_S = 64;
/** Milliseconds in which no pace is asked for: a first segment that is lost twice comes after three seconds. */
export const HELLO_PACE_GRACE_MS = 4_000;
/** The part of a lifetime that chance may take off, so that relays begun together do not end together. */
export const LIFETIME_JITTER = 0.1;

export * from './ech-limits.ts';
