/** `sniway run`: the proxy itself, until a signal ends it. */
import type { CheckedConfig } from '../config/check-config.ts';
import { ConfigError, SniwayError, describeProblem } from '../errors.ts';
import type { BoundAddress } from '../events.ts';
import { formatAccessLine } from '../observability/access-log.ts';
import type { AccessLogFormat } from '../observability/access-log.ts';
import type { AdminServer } from '../observability/admin-server.ts';
import type { LineSink } from '../observability/line-sink.ts';
import { createMetrics } from '../observability/metrics.ts';
import { createCheckedProxy } from '../proxy.ts';
import type { SniProxy } from '../sni-proxy.ts';
import { loadCommandConfig } from './load-config.ts';
import type { ConfigFlags } from './config-flags.ts';
import { openAccessLog } from './access-log.ts';
import type { AccessLog } from './access-log.ts';
import { openAdminServer } from './admin.ts';
import { createOperatorConsole } from './console.ts';
import type { OperatorConsole } from './console.ts';
import { CommandError, EXIT } from './exit-codes.ts';
import { VERSION } from './version.ts';

export interface RunFlags extends ConfigFlags {
  readonly logFormat: AccessLogFormat | 'none';
  readonly logFile?: string;
  readonly quiet?: boolean;
  readonly verbose?: boolean;
}

export interface RunHooks {
  /** Called once the listeners are open. */
  readonly started?: (addresses: readonly BoundAddress[]) => void;
}

/** Runs until SIGTERM or SIGINT; resolves with the exit code. */
export async function runProxy(flags: RunFlags, hooks: RunHooks = {}): Promise<number> {
  const { config, warnings } = await loadCommandConfig(flags);
  const operator = createOperatorConsole(flags.quiet ? 'quiet' : flags.verbose ? 'verbose' : 'normal');
  for (const line of warnings.split('\n')) if (line !== '') operator.say('warn', line);
  let accessLog: AccessLog | null = null;
  let admin: AdminServer | null = null;
  try {
    accessLog = openAccessLog(flags.logFile, operator);
    const { sink } = accessLog;
    const proxy = createProxyOrExplain(config);
    proxy.on('notice', ({ level, message }) => operator.say(level, message));
    const { logFormat } = flags;
    // Only what is listened for is recorded at all.
    if (flags.verbose === true) {
      proxy.on('opened', ({ id, client, listener }) =>
        operator.say('debug', `connection ${id} from ${client.address}:${client.port} on ${listener}`),
      );
    }
    if (logFormat !== 'none') proxy.on('ended', record => sink.write(formatAccessLine(record, logFormat)));
    admin = await openAdmin(proxy, config, sink);
    const addresses = await startOrExplain(proxy);
    sayStarted(operator, proxy, config);
    if (admin !== null) operator.say('info', `metrics and health at ${admin.url}`);
    hooks.started?.(addresses);
    return await untilSignal(proxy, config, operator);
  } finally {
    await admin?.close();
    await accessLog?.close();
    await operator.close();
  }
}

function createProxyOrExplain(config: CheckedConfig): SniProxy {
  try {
    return createCheckedProxy(config);
  } catch (error) {
    if (error instanceof SniwayError) throw new CommandError(`sniway: error: ${error.message}`, EXIT.usage);
    throw error;
  }
}

async function startOrExplain(proxy: SniProxy): Promise<readonly BoundAddress[]> {
  try {
    return await proxy.start();
  } catch (error) {
    if (error instanceof ConfigError) {
      throw new CommandError(`sniway: error: ${error.problems.map(describeProblem).join('\n')}`, EXIT.usage);
    }
    if (error instanceof SniwayError) throw new CommandError(`sniway: error: ${error.message}`, EXIT.failure);
    throw error;
  }
}

/** Before the proxy starts, so that it can be asked whether that is ready. */
async function openAdmin(
  proxy: SniProxy,
  { admin }: CheckedConfig,
  log: LineSink,
): Promise<AdminServer | null> {
  if (admin === null) return null;
  const metrics = createMetrics(proxy, { version: VERSION, logLinesDropped: () => log.dropped });
  try {
    return await openAdminServer({ listen: admin, metrics, state: () => proxy.stats().state });
  } catch (error) {
    metrics.close();
    throw error;
  }
}

function sayStarted(operator: OperatorConsole, proxy: SniProxy, config: CheckedConfig): void {
  const count = config.routes.length;
  operator.say(
    'info',
    `${VERSION}, ${proxy.engine.name} engine (${proxy.engine.why}), ${count} ${count === 1 ? 'route' : 'routes'}`,
  );
  for (const address of proxy.addresses) operator.say('info', `listening on ${address.text}`);
}

/** The first SIGTERM or SIGINT drains, the second ends at once. */
function untilSignal(proxy: SniProxy, config: CheckedConfig, operator: OperatorConsole): Promise<number> {
  return new Promise((resolve, reject) => {
    let draining = false;
    const onSignal = (signal: NodeJS.Signals): void => {
      if (draining) {
        operator.say('warn', `${signal} again: ending ${proxy.connectionCount} connections now`);
        proxy.kill().then(() => finish(EXIT.ok), reject);
        return;
      }
      draining = true;
      const closing = proxy.close();
      operator.say('info', drainText(signal, proxy.connectionCount, config.drainTimeoutMs));
      closing.then(({ terminated }) => {
        if (terminated > 0)
          operator.say('warn', `${terminated} connections did not end in time and were ended`);
        finish(terminated > 0 ? EXIT.drainTimeout : EXIT.ok);
      }, reject);
    };
    const onHangUp = (): void => {
      operator.say(
        'warn',
        'SIGHUP: this version cannot reload its configuration; restart it to use a new one',
      );
    };
    const finish = (code: number): void => {
      process.off('SIGTERM', onSignal).off('SIGINT', onSignal).off('SIGHUP', onHangUp);
      resolve(code);
    };
    process.on('SIGTERM', onSignal).on('SIGINT', onSignal).on('SIGHUP', onHangUp);
  });
}

function drainText(signal: string, connections: number, drainTimeoutMs: number): string {
  if (connections === 0) return `${signal}: no connections are open, ending`;
  const noun = connections === 1 ? 'connection' : 'connections';
  return `${signal}: draining ${connections} ${noun} for up to ${drainTimeoutMs / 1000}s (once more ends them now)`;
}
