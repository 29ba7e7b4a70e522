/** Reads the configuration again while the proxy runs, on SIGHUP or when a file has changed, and says what came of it. */
import { ReadFiles } from '../config/watched-files.ts';
import { ConfigError, SniwayError, describeProblem } from '../errors.ts';
import { RELOAD_NAMES_SHOWN_MAX, WATCH_POLL_MS } from '../limits.ts';
import type { CommandProxy } from '../proxy.ts';
import type { ReloadResult } from '../sni-proxy.ts';
import type { CheckedConfig } from '../config/check-config.ts';
import { escapeControls } from '../config/plain-text.ts';
import type { ConfigFlags } from './config-flags.ts';
import type { OperatorConsole } from './console.ts';
import { CommandError } from './exit-codes.ts';
import { loadCommandConfig } from './load-config.ts';
import type { Service } from './service.ts';

export interface ReloaderParts {
  readonly proxy: Pick<CommandProxy, 'reloadFrom'>;
  readonly flags: ConfigFlags;
  readonly operator: OperatorConsole;
  readonly service: Pick<Service, 'reloadHindrance' | 'reloading' | 'reloaded'>;
}

export interface StartedWith {
  readonly config: CheckedConfig;
  /** What was read, or looked for, for it. */
  readonly files: ReadFiles;
}

export class Reloader {
  readonly #parts: ReloaderParts;
  #config: CheckedConfig;
  /** What was read, or looked for, the last time. */
  #files: ReadFiles;
  #watch: NodeJS.Timeout | undefined;
  #waiting = false;
  #last: Promise<boolean> = Promise.resolve(true);

  /** Begins with what the proxy was started with: the configuration, and what was read for it. */
  constructor(parts: ReloaderParts, { config, files }: StartedWith) {
    this.#parts = parts;
    this.#config = config;
    this.#files = files;
  }

  /** The configuration in force. */
  get config(): CheckedConfig {
    return this.#config;
  }

  /** Resolves when the reload is over, however it ends; false if this was no time for one. Whoever asks while one waits gets that one. */
  reload(why: string): Promise<boolean> {
    if (this.#waiting) return this.#last;
    this.#waiting = true;
    this.#last = this.#last.then(() => {
      this.#waiting = false;
      return this.#reload(why);
    });
    return this.#last;
  }

  /** Reloads when a file differs from what was read, and has not gone on changing since the last look. */
  watch(): void {
    let changed: string | null = null;
    const look = async (): Promise<void> => {
      const files = this.#files;
      const now = await files.look();
      if (now !== files.fingerprint && now === changed && this.#parts.service.reloadHindrance === null) {
        await this.reload('the configuration has changed');
        changed = null;
      } else {
        changed = now === files.fingerprint ? null : now;
      }
      if (this.#watch !== undefined) this.#watch = setTimeout(() => void look(), WATCH_POLL_MS).unref();
    };
    this.#watch = setTimeout(() => void look(), WATCH_POLL_MS).unref();
  }

  close(): void {
    clearTimeout(this.#watch);
    this.#watch = undefined;
  }

  async #reload(why: string): Promise<boolean> {
    const { operator, proxy, service } = this.#parts;
    const hindrance = service.reloadHindrance;
    if (hindrance !== null) {
      operator.say('warn', `${why}: no reload, since ${hindrance}`);
      await service.reloaded({ signal: 'SIGHUP', ok: false, text: hindrance });
      return false;
    }
    operator.say('info', `${why}: reading the configuration`);
    await service.reloading();
    try {
      let loaded = this.#config;
      const result = await proxy.reloadFrom(async () => (loaded = await this.#load()));
      this.#config = loaded;
      const text = describeResult(result);
      operator.say('info', text);
      await service.reloaded({ signal: 'SIGHUP', ok: true, text });
    } catch (error) {
      const text = describeError(error);
      const separator = text.includes('\n') ? '\n' : ' ';
      operator.say('error', `no reload, going on as before:${separator}${text}`);
      await service.reloaded({ signal: 'SIGHUP', ok: false, text });
    }
    return true;
  }

  async #load(): Promise<CheckedConfig> {
    const { flags, operator } = this.#parts;
    const files = new ReadFiles();
    try {
      const { config, warnings } = await loadCommandConfig(flags, { reads: path => files.add(path) });
      for (const line of warnings.split('\n')) if (line !== '') operator.say('warn', line);
      return config;
    } finally {
      this.#files = files;
    }
  }
}

/** `reloaded: 2 new routes (api, web); now listening on 127.0.0.1:8443`. */
function describeResult({ opened, closed, routes, settings, waiting }: ReloadResult): string {
  const parts = [
    count('new', 'route', routes.added),
    count('changed', 'route', routes.changed),
    count('removed', 'route', routes.removed),
    ...(opened.length > 0 ? [`now listening on ${texts(opened)}`] : []),
    ...(closed.length > 0 ? [`no more listening on ${texts(closed)}`] : []),
    ...(settings.length > 0 ? [`other ${settings.join(', ')}`] : []),
    ...(waiting.length > 0 ? [`${waiting.join(', ')} as before until sniway is started anew`] : []),
  ].filter(part => part !== '');
  return `reloaded: ${parts.length === 0 ? 'nothing has changed' : parts.join('; ')}`;
}

function count(what: string, noun: string, names: readonly string[]): string {
  if (names.length === 0) return '';
  const shown = names.slice(0, RELOAD_NAMES_SHOWN_MAX).map(escapeControls).join(', ');
  const rest = names.length > RELOAD_NAMES_SHOWN_MAX ? ', ...' : '';
  return `${names.length} ${what} ${noun}${names.length === 1 ? '' : 's'} (${shown}${rest})`;
}

function texts(addresses: ReloadResult['addresses']): string {
  return addresses.map(({ text }) => text).join(', ');
}

function describeError(error: unknown): string {
  if (error instanceof ConfigError) return error.problems.map(describeProblem).join('\n');
  if (error instanceof CommandError) return error.message.replace(/^sniway: error: /, '');
  if (error instanceof SniwayError) return error.message;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
