/**
 * A running proxy as a service: its pid file, what the service manager is told, and how another process takes over from
 * it without a client noticing.
 */
import { encodeSocketName } from '../engine/inherited-sockets.ts';
import type { CommandProxy } from '../proxy.ts';
import type { CommandAdmin } from './admin.ts';
import type { OperatorConsole } from './console.ts';
import { closeUnclaimed } from './inheritance.ts';
import type { Inheritance } from './inheritance.ts';
import { connectServiceManager, reloadingState, watchdogIntervalMs } from './notify.ts';
import type { ServiceManager } from './notify.ts';
import { PidFile } from './pid-file.ts';
import type { RequestAnswer } from './pid-file.ts';
import { startSuccessor } from './successor.ts';
import type { HandedSocket } from './successor.ts';

export interface ServiceParts {
  readonly proxy: CommandProxy;
  readonly operator: OperatorConsole;
  readonly inheritance: Inheritance;
  readonly pidFile: string | undefined;
}

export class Service {
  readonly #parts: ServiceParts;
  readonly #pidFile: PidFile | null;
  readonly #manager: ServiceManager;
  readonly #abort = new AbortController();
  #admin: CommandAdmin | null = null;
  #watchdog: NodeJS.Timeout | undefined;
  #isReady = false;
  #upgrading = false;
  #handedOver = false;

  constructor(parts: ServiceParts) {
    this.#parts = parts;
    this.#pidFile = parts.pidFile === undefined ? null : new PidFile(parts.pidFile);
    // Until this process is ready, they are those of the one before.
    parts.proxy.keepSocketFiles(this.isHalfway);
    this.#manager = connectServiceManager(process.env, why => parts.operator.say('warn', why));
  }

  /** Called before anything is opened. */
  prepare(): void {
    this.#pidFile?.prepare();
  }

  /** Called when everything is open: from here on this process is the service. */
  async started(admin: CommandAdmin | null): Promise<void> {
    const { inheritance, operator } = this.#parts;
    this.#admin = admin;
    this.#startWatchdog();
    const { predecessor } = inheritance;
    // The old process is the one that the service manager listens to: it tells who comes after it.
    if (predecessor === null) await this.#manager.tell({ READY: '1', STATUS: this.#status() });
    // Whoever finds this process may ask it for something, and nothing may come between this and listening to that.
    this.#pidFile?.write();
    closeUnclaimed(inheritance, operator);
    this.#isReady = true;
    this.#parts.proxy.keepSocketFiles(this.isHalfway);
    predecessor?.ready();
  }

  /** Whether another process still serves, which this one is to take over from. */
  get isHalfway(): boolean {
    return this.#parts.inheritance.predecessor !== null && !this.#isReady;
  }

  /** Why this is no time to reload; null if it is. */
  get reloadHindrance(): string | null {
    if (this.#upgrading) return 'an upgrade is under way, which reads the configuration too';
    return this.#isEnding() ? 'this process drains' : null;
  }

  /** Beginning to change, and how that ended; for reloads. */
  async reloading(): Promise<void> {
    await this.#manager.tell(reloadingState());
  }

  async reloaded(answer: RequestAnswer): Promise<void> {
    this.#pidFile?.answer(answer);
    const status = answer.ok ? this.#status() : `going on as before: ${answer.text}`;
    await this.#manager.tell({ READY: '1', STATUS: status });
  }

  async stopping(): Promise<void> {
    this.#abort.abort();
    clearInterval(this.#watchdog);
    await this.#manager.tell({ STOPPING: '1', STATUS: 'draining' });
  }

  /**
   * Starts another process and hands over to it; true once it serves, and this one is to drain. If it cannot start,
   * everything goes on as before.
   */
  async upgrade(): Promise<boolean> {
    const { operator } = this.#parts;
    const hindrance = this.#upgrading ? 'one is under way already' : this.#hindrance();
    if (hindrance !== null) {
      operator.say('error', `no upgrade: ${hindrance}`);
      // Whoever has asked for the one under way gets its answer.
      if (!this.#upgrading) this.#answer(false, hindrance);
      return false;
    }
    this.#upgrading = true;
    operator.say('info', 'upgrade: starting a new process');
    await this.#manager.tell({ ...reloadingState(), STATUS: 'upgrading' });
    const outcome = await startSuccessor({ sockets: this.#sockets(), abort: this.#abort.signal });
    this.#upgrading = false;
    if (!outcome.ok) {
      operator.say('error', `no upgrade, going on as before: ${outcome.why}`);
      this.#answer(false, outcome.why);
      await this.#manager.tell({ READY: '1', STATUS: `upgrade failed: ${outcome.why}` });
      return false;
    }
    await this.#handOver(outcome.pid);
    return true;
  }

  close(): void {
    clearInterval(this.#watchdog);
    this.#pidFile?.remove();
  }

  async #handOver(pid: number): Promise<void> {
    this.#handedOver = true;
    clearInterval(this.#watchdog);
    this.#parts.operator.say('info', `upgrade: process ${pid} serves now`);
    this.#answer(true, `process ${pid} serves now, process ${process.pid} drains`);
    this.#parts.proxy.keepSocketFiles(true);
    await this.#manager.tell({ MAINPID: String(pid), READY: '1', STATUS: this.#status() });
    this.#manager.silence();
    await this.#admin?.close(true);
  }

  #answer(ok: boolean, text: string): void {
    this.#pidFile?.answer({ signal: 'SIGUSR2', ok, text });
  }

  #isEnding(): boolean {
    return this.#handedOver || this.#abort.signal.aborted;
  }

  #hindrance(): string | null {
    if (this.#isEnding()) return 'this process drains already';
    // Everything in a container ends with its first process.
    if (process.pid === 1) return 'this is the first process of a container: start a new container instead';
    return null;
  }

  #sockets(): HandedSocket[] {
    const { proxy, inheritance } = this.#parts;
    const admin = this.#admin;
    const open = [
      ...proxy.listening().map(({ fd, target, address }) => ({ fd, target, address: address.text })),
      ...(admin === null
        ? []
        : [{ fd: admin.fd, target: admin.listen, address: admin.url.replace(/^http:\/\//, '') }]),
    ];
    return open.map(({ fd, target, address }) => {
      // A descriptor that was not handed over by the convention is somebody else's, too.
      const unnamed = target.kind === 'fd' ? 'unknown' : null;
      const known = inheritance.sockets.of(fd);
      // Another socket has its number by now, if a reload has closed it.
      const isIt = known !== null && (known.address === null || known.address === address);
      const manager = (isIt ? known.manager : null) ?? unnamed;
      return { fd, name: encodeSocketName({ target, address, manager }) };
    });
  }

  #status(): string {
    const { addresses } = this.#parts.proxy;
    return `listening on ${addresses.map(({ text }) => text).join(', ')}`;
  }

  /** A sign of life says that the event loop turns, and that not all workers are stuck. */
  #startWatchdog(): void {
    const intervalMs = watchdogIntervalMs(process.env);
    if (intervalMs === null) return;
    const { proxy } = this.#parts;
    const signOfLife = async (): Promise<void> => {
      const lags = await proxy.measureLag();
      const isAlive = lags.length === 0 || lags.some(lag => lag < intervalMs);
      if (isAlive && !this.#handedOver) await this.#manager.tell({ WATCHDOG: '1' });
    };
    this.#watchdog = setInterval(() => void signOfLife(), intervalMs);
  }
}
