/** The `sniway` command: flags and subcommands. What only some of these need is loaded when one of them is called. */
import { Command, CommanderError, Option } from 'commander';
import { didYouMean } from '../config/nearest-word.ts';
import { escapeControls, hidePrivateKeys, listWords } from '../config/plain-text.ts';
import { SAMPLE_FORMATS } from '../config/sample-formats.ts';
import type { SampleFormat } from '../config/sample-formats.ts';
import { ACCESS_LOG_FORMATS } from '../observability/access-log.ts';
import type { CheckFlags } from './check.ts';
import { addConfigFlags } from './config-flags.ts';
import type { ConfigFlags } from './config-flags.ts';
import { addDoctorCommand } from './doctor/doctor-command.ts';
import { addEchCommands } from './ech/ech-commands.ts';
import { CommandError, EXIT } from './exit-codes.ts';
import type { ExplainFlags } from './explain.ts';
import { complain, print } from './output.ts';
import type { RunFlags, RunHooks } from './run.ts';
import { addServiceCommands } from './service-commands.ts';
import { VERSION } from './version.ts';

const COMMANDS = [
  'run',
  'check',
  'explain',
  'doctor',
  'reload',
  'upgrade',
  'systemd',
  'ech',
  'init',
  'schema',
  'help',
];

const EXAMPLES = `Examples:
  sniway -l 443 -r 'www.example.com=10.0.0.5:443' -r '*.example.org=10.0.0.6:8443'
  sniway -l 443 -s .internal.example.com          names under the suffix are dialled by themselves
  sniway -c /etc/sniway.yaml                      listeners, routes and policies from a file
  sniway explain www.example.com -c /etc/sniway.yaml
  sniway check -c /etc/sniway.yaml
  sniway doctor -c /etc/sniway.yaml               are all backends there, and fit?
`;

/** Runs the command with these arguments (without node and script); resolves with the exit code. */
export async function runCommand(argv: readonly string[], hooks: RunHooks = {}): Promise<number> {
  try {
    return await parseAndRun(argv, hooks);
  } catch (error) {
    if (error instanceof CommandError) {
      await complain(`${error.message}\n`);
      return error.exitCode;
    }
    await complain(`sniway: internal error: ${error instanceof Error ? error.stack : String(error)}\n`);
    return EXIT.failure;
  }
}

async function parseAndRun(argv: readonly string[], hooks: RunHooks): Promise<number> {
  let exitCode: number = EXIT.ok;
  const program = createProgram(hooks, code => {
    exitCode = code;
  });
  // Commander writes without waiting: its texts are kept until their writing can be waited for.
  const said = { out: '', err: '' };
  const output = {
    writeOut: (text: string) => void (said.out += text),
    writeErr: (text: string) => void (said.err += text),
  };
  for (const command of withSubcommands(program)) command.configureOutput(output);
  try {
    await program.parseAsync(argv, { from: 'user' });
    return exitCode;
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    await print(said.out);
    await complain(hidePrivateKeys(said.err));
    return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
  }
}

function withSubcommands(command: Command): readonly Command[] {
  return [command, ...command.commands.flatMap(withSubcommands)];
}

function createProgram(hooks: RunHooks, exitWith: (code: number) => void): Command {
  const program = new Command('sniway')
    .description('Routes TLS connections by the name in their ClientHello, without decrypting them.')
    .version(VERSION)
    .addHelpText('beforeAll', EXAMPLES)
    .exitOverride()
    .showSuggestionAfterError()
    .configureHelp({ showGlobalOptions: true, visibleArguments: () => [] })
    .usage('[run|check|explain NAME|doctor|reload|upgrade|systemd|ech|init|schema] [options]')
    .helpCommand('help [command]', 'show this help')
    // Catches a misspelt command; the list of commands says the rest.
    .argument('[command]');
  addConfigFlags(program);
  program
    .addOption(
      new Option('--log-format <format>', 'form of the access lines, or none')
        .choices([...ACCESS_LOG_FORMATS, 'none'])
        .default('text'),
    )
    .option('--log-file <path>', 'append access lines to a file, opened anew on SIGUSR1 (default: stdout)')
    .option(
      '--pid-file <path>',
      'write the number of the process there, for sniway reload and upgrade to find it',
    )
    .option('--watch', 'reload when a file of the configuration has changed')
    .option('-q, --quiet', 'say only warnings and errors')
    .option('-v, --verbose', 'say more, each accepted connection too');

  const run = async (): Promise<void> => {
    const { runProxy } = await import('./run.ts');
    exitWith(await runProxy(program.opts<RunFlags>(), hooks));
  };
  program.action(async (unknown: string | undefined) => {
    if (unknown === undefined) return await run();
    throw new CommandError(
      `error: unknown command '${escapeControls(unknown)}'${didYouMean(unknown, COMMANDS)}; there are ${listWords(COMMANDS)}`,
      EXIT.usage,
    );
  });
  program.command('run').description('run the proxy (what sniway does without a command)').action(run);
  addLookingCommands(program);
  addDoctorCommand(program, exitWith);
  addServiceCommands(program);
  addEchCommands(program);
  addWritingCommands(program);
  return program;
}

function addLookingCommands(program: Command): void {
  program
    .command('check')
    .description('say all that is wrong with the configuration, and what is missing on this machine')
    .option('--bind', 'also see whether the ports can be opened (not while sniway itself runs)')
    .action(async (options: CheckFlags) => {
      const { checkCommandConfig } = await import('./check.ts');
      await print(await checkCommandConfig(program.opts<ConfigFlags>(), options));
    });
  program
    .command('explain <name>')
    .description('say which route a name takes, why, and what would be dialled')
    .option('--alpn <protocols>', 'protocols the client offers, separated by commas', splitList)
    .option('--ech', 'as if the name came encrypted (Encrypted ClientHello)')
    .action(async (name: string, options: ExplainFlags) => {
      const { explainName } = await import('./explain.ts');
      await print(await explainName(name, options, program.opts<ConfigFlags>()));
    });
}

function addWritingCommands(program: Command): void {
  program
    .command('init [file]')
    .description('write a sample configuration with every key (default: sniway.yaml)')
    .addOption(new Option('--format <format>', 'yaml, or ts for a program').choices(SAMPLE_FORMATS))
    .action(async (file: string | undefined, { format }: { format?: SampleFormat }) => {
      const { initConfig } = await import('./init.ts');
      await print(await initConfig(file, format));
    });
  program
    .command('schema')
    .description('print the JSON Schema of the configuration file')
    .action(async () => {
      const { configJsonSchema } = await import('../config/schema.ts');
      await print(`${JSON.stringify(configJsonSchema(), null, 2)}\n`);
    });
}

function splitList(text: string): string[] {
  return text.split(',').filter(part => part !== '');
}
