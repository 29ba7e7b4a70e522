/** `sniway systemd`: a service unit and a socket unit for this installation, hardened as far as Node allows. */
import { DRAIN_TIMEOUT_MS, LISTEN_BACKLOG } from '../limits.ts';
import type { ListenTarget } from '../engine/engine.ts';
import type { ConfigFlags } from './config-flags.ts';
import { EXIT } from './exit-codes.ts';
import { loadCommandConfig } from './load-config.ts';

export const UNIT_KINDS = ['service', 'socket'] as const;
export type UnitKind = (typeof UNIT_KINDS)[number];

/** Where the files belong. */
const FOLDER = '/etc/systemd/system';
const CONFIG_DEFAULT = '/etc/sniway/sniway.yaml';
/** Seconds that ending takes beside draining. */
const STOP_MARGIN_S = 10;

interface UnitFacts {
  readonly command: readonly string[];
  readonly configFile: string;
  readonly drainTimeoutMs: number;
  readonly listen: readonly ListenTarget[];
}

/**
 * The text of one unit, or of both with the names of their files. Listeners and drain time are those of the
 * configuration file that is given, which is checked; without one, port 443.
 */
export async function printUnits(kind: UnitKind | undefined, flags: ConfigFlags): Promise<string> {
  const facts = await findFacts(flags);
  const texts = { service: serviceUnit(facts), socket: socketUnit(facts) };
  if (kind !== undefined) return texts[kind];
  return UNIT_KINDS.map(name => `# ${FOLDER}/sniway.${name}\n${texts[name]}`).join('\n');
}

async function findFacts(flags: ConfigFlags): Promise<UnitFacts> {
  // As it was called, by a link for example that leads to another version later.
  const command = [process.execPath, process.argv[1] ?? ''];
  const listen: readonly ListenTarget[] = [{ kind: 'tcp', address: '::', port: 443 }];
  if (flags.config === undefined) {
    return { command, configFile: CONFIG_DEFAULT, drainTimeoutMs: DRAIN_TIMEOUT_MS, listen };
  }
  const { config } = await loadCommandConfig(flags, { listenDefault: '443' });
  const { drainTimeoutMs } = config;
  return { command, configFile: flags.config, drainTimeoutMs, listen: config.listen };
}

function serviceUnit({ command, configFile, drainTimeoutMs }: UnitFacts): string {
  const pidFile = ['--pid-file', '/run/sniway/pid'];
  const start = [...command, 'run', '-c', configFile, ...pidFile].map(quote).join(' ');
  const reload = [...command, 'reload', ...pidFile].map(quote).join(' ');
  return `[Unit]
Description=Sniway, a proxy that routes TLS connections by server name
Wants=network-online.target
After=network-online.target

[Service]
Type=notify
# A new process takes over in an upgrade; without koffi, systemd-notify speaks for it.
NotifyAccess=all
ExecStart=${start}
# Fails, and says why, where the new configuration is wrong.
ExecReload=${reload}
# To upgrade: sniway upgrade --pid-file /run/sniway/pid
Restart=on-failure
RestartSec=1
RestartPreventExitStatus=${EXIT.usage}
SuccessExitStatus=${EXIT.drainTimeout}
TimeoutStopSec=${Math.ceil(drainTimeoutMs / 1000) + STOP_MARGIN_S}
WatchdogSec=30
LimitNOFILE=524288

# A user of its own, which must be able to read ${configFile}. /run/sniway and /var/log/sniway are its to write to.
DynamicUser=yes
RuntimeDirectory=sniway
LogsDirectory=sniway
UMask=0027
CapabilityBoundingSet=CAP_NET_BIND_SERVICE
AmbientCapabilities=CAP_NET_BIND_SERVICE
NoNewPrivileges=yes

ProtectSystem=strict
ProtectHome=${command.some(isInHome) ? 'read-only' : 'yes'}
PrivateTmp=yes
PrivateDevices=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
LockPersonality=yes
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
# Netlink tells the addresses of this machine, which a client's name must not lead to.
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM
# V8 compiles at run time: MemoryDenyWriteExecute=yes would end it.
MemoryDenyWriteExecute=no

[Install]
WantedBy=multi-user.target
`;
}

function socketUnit({ listen }: UnitFacts): string {
  const streams = listen.flatMap(target => {
    const text = listenStream(target);
    return text === null ? [] : [`ListenStream=${text}`];
  });
  return `[Unit]
Description=Listening sockets of Sniway

[Socket]
${streams.join('\n')}
Backlog=${LISTEN_BACKLOG}
NoDelay=yes

[Install]
WantedBy=sockets.target
`;
}

/** Where `ProtectHome=yes` hides everything, a Node of one user's own for example. */
function isInHome(path: string): boolean {
  return /^\/(?:home|root|run\/user)\//.test(path);
}

/** Null for what systemd cannot open. */
function listenStream(target: ListenTarget): string | null {
  if (target.kind === 'fd') return null;
  if (target.kind === 'unix') return target.path.replaceAll('%', '%%');
  const { address, port } = target;
  if (address === '::') return String(port);
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}

/** systemd.service(5), COMMAND LINES: what would end a word, or stand for something else, is taken as it is. */
function quote(word: string): string {
  const literal = word.replaceAll('%', '%%').replaceAll('$', '$$$$');
  return /^[\w@%+=:,./$-]+$/.test(literal) ? literal : `"${literal.replaceAll(/["\\]/g, '\\$&')}"`;
}
