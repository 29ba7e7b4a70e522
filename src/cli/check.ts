/** `sniway check`: is this configuration fit to run? */
import type { ConfigFlags } from './config-flags.ts';
import { loadCommandConfig } from './load-config.ts';

/**
 * The text for stdout when the configuration is fit, with its warnings.
 * @throws CommandError with every problem when it is not.
 */
export async function checkCommandConfig(flags: ConfigFlags): Promise<string> {
  const { config, warnings } = await loadCommandConfig(flags);
  const { routes, listen } = config;
  const summary = `ok: ${count(listen.length, 'listener')}, ${count(routes.length, 'route')}`;
  return `${warnings === '' ? '' : `${warnings}\n`}${summary}\n`;
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}
