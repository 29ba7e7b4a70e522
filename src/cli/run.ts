/** `sniway run`: the proxy itself, until a signal ends it. */
import type { CheckedConfig } from '../config/check-config.ts';
import { ReadFiles } from '../config/watched-files.ts';
import { ConfigError, SniwayError, describeProblem } from '../errors.ts';
import type { InheritedSockets } from '../engine/inherited-sockets.ts';
import type { BoundAddress, ProxyStats } from '../events.ts';
import { formatAccessLine } from '../observability/access-log.ts';
import type { AccessLogFormat } from '../observability/access-log.ts';
import type { LineSink } from '../observability/line-sink.ts';
import { createMetrics } from '../observability/metrics.ts';
import { createCheckedProxy } from '../proxy.ts';
import type { SniProxy } from '../sni-proxy.ts';
import type { CommandProxy } from '../proxy.ts';
import { loadCommandConfig } from './load-config.ts';
import type { ConfigFlags } from './config-flags.ts';
import { openAccessLog } from './access-log.ts';
import type { AccessLog } from './access-log.ts';
import { openAdminServer } from './admin.ts';
import type { CommandAdmin } from './admin.ts';
import { createOperatorConsole } from './console.ts';
import type { OperatorConsole } from './console.ts';
import { reportDraining } from './drain-reports.ts';
import { CommandError, EXIT } from './exit-codes.ts';
import { runWithInheritance } from './inheritance.ts';
import type { Inheritance } from './inheritance.ts';
import { Reloader } from './reloader.ts';
import { Service } from './service.ts';
import { VERSION } from './version.ts';

export interface RunFlags extends ConfigFlags {
  readonly logFormat: AccessLogFormat | 'none';
  readonly logFile?: string;
  readonly pidFile?: string;
  readonly watch?: boolean;
  readonly quiet?: boolean;
  readonly verbose?: boolean;
}

export interface RunHooks {
  /** Called once the listeners are open. */
  readonly started?: (addresses: readonly BoundAddress[]) => void;
}

/** Runs until SIGTERM or SIGINT, or until another process has taken over; resolves with the exit code. */
export async function runProxy(flags: RunFlags, hooks: RunHooks = {}): Promise<number> {
  return await runWithInheritance(inheritance => runWith(inheritance, flags, hooks));
}

async function runWith(inheritance: Inheritance, flags: RunFlags, hooks: RunHooks): Promise<number> {
  const files = new ReadFiles();
  const { config, warnings } = await loadCommandConfig(flags, { reads: path => files.add(path) });
  const operator = createOperatorConsole(flags.quiet ? 'quiet' : flags.verbose ? 'verbose' : 'normal');
  for (const line of warnings.split('\n')) if (line !== '') operator.say('warn', line);
  let accessLog: AccessLog | null = null;
  let admin: CommandAdmin | null = null;
  let service: Service | null = null;
  let reloader: Reloader | null = null;
  let kill = (): Promise<void> => Promise.resolve();
  try {
    accessLog = openAccessLog(flags.logFile, operator);
    const { sink } = accessLog;
    const { sockets } = inheritance;
    const proxy = createProxyOrExplain(config, sockets);
    kill = () => proxy.kill();
    proxy.on('notice', ({ level, message }) => operator.say(level, message));
    const { logFormat } = flags;
    // Only what is listened for is recorded at all.
    if (flags.verbose === true) {
      proxy.on('opened', ({ id, client, listener }) =>
        operator.say('debug', `connection ${id} from ${client.address}:${client.port} on ${listener}`),
      );
    }
    if (logFormat !== 'none') proxy.on('ended', record => sink.write(formatAccessLine(record, logFormat)));
    const openIt = (): Promise<CommandAdmin | null> => openAdmin(proxy, config, { sink, sockets });
    // Before the proxy starts, so that it can be asked whether that is ready; unless another one answers until then.
    if (config.admin === null || !sockets.has(config.admin)) admin = await openIt();
    service = new Service({ proxy, operator, inheritance, pidFile: flags.pidFile });
    service.prepare();
    const addresses = await startOrExplain(proxy);
    admin ??= await openIt();
    sayStarted(operator, proxy, config);
    if (admin !== null) operator.say('info', `metrics and health at ${admin.url}`);
    await service.started(admin);
    reloader = new Reloader({ proxy, flags, operator, service }, { config, files });
    if (flags.watch === true) reloader.watch();
    hooks.started?.(addresses);
    return await untilSignal({ proxy, reloader, operator, service });
  } catch (error) {
    // Its listeners would keep a process alive that is of no use.
    await kill();
    await admin?.close(service?.isHalfway);
    throw error;
  } finally {
    reloader?.close();
    service?.close();
    await admin?.close();
    await accessLog?.close();
    await operator.close();
  }
}

function createProxyOrExplain(config: CheckedConfig, inherited: InheritedSockets): CommandProxy {
  try {
    return createCheckedProxy(config, inherited);
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

async function openAdmin(
  proxy: SniProxy,
  { admin }: CheckedConfig,
  { sink, sockets }: { readonly sink: LineSink; readonly sockets: InheritedSockets },
): Promise<CommandAdmin | null> {
  if (admin === null) return null;
  const metrics = createMetrics(proxy, { version: VERSION, logLinesDropped: () => sink.dropped });
  try {
    const state = (): ProxyStats['state'] => proxy.stats().state;
    return await openAdminServer({ listen: admin, metrics, state, inherited: sockets });
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

interface RunningParts {
  readonly proxy: CommandProxy;
  readonly reloader: Reloader;
  readonly operator: OperatorConsole;
  readonly service: Service;
}

/** The first SIGTERM or SIGINT drains, the second ends at once; so does whoever takes over after SIGUSR2. */
function untilSignal({ proxy, reloader, operator, service }: RunningParts): Promise<number> {
  return new Promise((resolve, reject) => {
    let draining = false;
    let endsNext = false;
    const drain = (why: string): void => {
      draining = true;
      reloader.close();
      const { drainTimeoutMs } = reloader.config;
      const closing = proxy.close();
      operator.say('info', drainText(why, proxy.connectionCount, drainTimeoutMs));
      const stopReports = reportDraining(proxy, drainTimeoutMs, text => operator.say('info', text));
      closing.finally(stopReports).then(({ terminated }) => {
        if (terminated > 0)
          operator.say('warn', `${terminated} connections did not end in time and were ended`);
        finish(terminated > 0 ? EXIT.drainTimeout : EXIT.ok);
      }, reject);
    };
    const onSignal = (signal: NodeJS.Signals): void => {
      if (draining && !endsNext) {
        // A service manager tells all processes of a service, those that were upgraded too.
        endsNext = true;
        operator.say('info', `${signal}: draining already (once more ends the rest now)`);
        return;
      }
      if (draining) {
        operator.say('warn', `${signal} again: ending ${proxy.connectionCount} connections now`);
        proxy.kill().then(() => finish(EXIT.ok), reject);
        return;
      }
      endsNext = true;
      void service.stopping();
      drain(signal);
    };
    const onUpgrade = (): void => {
      service.upgrade().then(done => done && !draining && drain('upgraded'), reject);
    };
    const onHangUp = (): void => {
      reloader.reload('SIGHUP').catch(reject);
    };
    const finish = (code: number): void => {
      process.off('SIGTERM', onSignal).off('SIGINT', onSignal).off('SIGHUP', onHangUp);
      process.off('SIGUSR2', onUpgrade);
      resolve(code);
    };
    process.on('SIGTERM', onSignal).on('SIGINT', onSignal).on('SIGHUP', onHangUp);
    process.on('SIGUSR2', onUpgrade);
  });
}

function drainText(signal: string, connections: number, drainTimeoutMs: number): string {
  if (connections === 0) return `${signal}: no connections are open, ending`;
  const noun = connections === 1 ? 'connection' : 'connections';
  return `${signal}: draining ${connections} ${noun} for up to ${drainTimeoutMs / 1000}s (once more ends them now)`;
}
