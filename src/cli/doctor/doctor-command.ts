/** The flags of `sniway doctor`. */
import type { Command } from 'commander';
import type { ConfigFlags } from '../config-flags.ts';
import type { DoctorFlags } from './doctor.ts';

/** Declares it on the program, whose flags say which configuration is meant. */
export function addDoctorCommand(program: Command, exitWith: (code: number) => void): void {
  program
    .command('doctor')
    .description('connect to all backends, and say what is wrong with them')
    .option('--name <name>', 'ask for this name at the routes that take it (repeatable)', addTo)
    .option('--ech', 'ask every backend for Encrypted ClientHello (default: where the configuration has it)')
    .option('--json', 'print one JSON object')
    .action(async (flags: DoctorFlags) => {
      const { examine } = await import('./doctor.ts');
      exitWith(await examine(flags, program.opts<ConfigFlags>()));
    });
}

function addTo(name: string, names: readonly string[] = []): readonly string[] {
  return [...names, name];
}
