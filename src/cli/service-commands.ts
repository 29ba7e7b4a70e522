/** The subcommands around a proxy that runs as a service. */
import type { Command } from 'commander';
import { escapeControls, listWords } from '../config/plain-text.ts';
import type { ConfigFlags } from './config-flags.ts';
import { CommandError, EXIT } from './exit-codes.ts';
import type { FindFlags } from './find-running.ts';
import { print } from './output.ts';
import type { RunFlags } from './run.ts';
import { reloadRunning } from './reload.ts';
import { UNIT_KINDS, printUnits } from './systemd.ts';
import { upgradeRunning } from './upgrade.ts';

/** Declares them on the program, whose options they share. */
export function addServiceCommands(program: Command): void {
  const find = ({ pid }: { pid?: string }): FindFlags => {
    const { pidFile } = program.opts<RunFlags>();
    return { ...(pid && { pid }), ...(pidFile && { pidFile }) };
  };
  program
    .command('reload')
    .description('let a running proxy read its configuration again, and say what came of it')
    .option('--pid <number>', 'the process, if not the one of --pid-file')
    .action(async (options: { pid?: string }) => print(await reloadRunning(find(options))));
  program
    .command('upgrade')
    .description('replace a running proxy by a new process, without refusing or dropping a connection')
    .option('--pid <number>', 'the process to replace, if not the one of --pid-file')
    .action(async (options: { pid?: string }) => print(await upgradeRunning(find(options))));
  program
    .command('systemd [unit]')
    .description('print a service and a socket unit for systemd, or one of them (service, socket)')
    .action(async (unit: string | undefined) => {
      const kind = UNIT_KINDS.find(known => known === unit);
      if (unit !== undefined && kind === undefined) {
        throw new CommandError(
          `error: no unit '${escapeControls(unit)}'; write ${listWords(UNIT_KINDS)}`,
          EXIT.usage,
        );
      }
      await print(await printUnits(kind, program.opts<ConfigFlags>()));
    });
}
