/** `sniway check`: is this configuration fit to run, and can it run here? */
import { findBindProblems, findMachineProblems } from './check-machine.ts';
import type { ConfigFlags } from './config-flags.ts';
import { CommandError, EXIT } from './exit-codes.ts';
import { loadCommandConfig } from './load-config.ts';

export interface CheckFlags {
  /** Try to open the ports too; they are taken while the proxy itself runs. */
  readonly bind?: boolean;
}

/**
 * The text for stdout when the configuration is fit and can run on this machine, with its warnings.
 * @throws CommandError with every problem when it is not fit (exit code 2), or cannot run here (1).
 */
export async function checkCommandConfig(
  flags: ConfigFlags,
  { bind = false }: CheckFlags = {},
): Promise<string> {
  const { config, warnings, render } = await loadCommandConfig(flags);
  const ofMachine = [...findMachineProblems(config), ...(bind ? await findBindProblems(config) : [])];
  const all = [warnings, render(ofMachine)]
    .filter(text => text !== '')
    .map(text => `${text}\n`)
    .join('');
  if (ofMachine.some(({ severity }) => severity === 'error')) {
    throw new CommandError(all.trimEnd(), EXIT.failure);
  }
  const { routes, listen } = config;
  return `${all}ok: ${count(listen.length, 'listener')}, ${count(routes.length, 'route')}\n`;
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}
