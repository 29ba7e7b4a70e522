/** The subcommands around keys for Encrypted ClientHello. */
import { Option } from 'commander';
import type { Command } from 'commander';
import { ECH_NAME_LENGTH } from '../../limits.ts';
import { complain, print } from '../output.ts';
import type { RunFlags } from '../run.ts';
import { publishKey } from './dns.ts';
import type { DnsFlags } from './dns.ts';
import { KEM_NAMES, generateKey } from './keygen.ts';
import type { KeygenFlags } from './keygen.ts';
import { rotateKeys } from './rotate.ts';
import type { RotateFlags } from './rotate.ts';
import type { Said } from './said.ts';
import { showConfigs } from './show.ts';
import { EXPORT_FORMS, exportKey, importKeys } from './transfer.ts';
import type { ExportForm } from './transfer.ts';

type Say = (said: Said) => Promise<void>;

const TTL = ['--ttl <seconds>', 'time to live of the record', '300'] as const;

/** Declares `ech` and what is below it; the flags of the proxy are of no use there. */
export function addEchCommands(program: Command): void {
  const ech = program
    .command('ech')
    .description('make, look at, publish and rotate keys for Encrypted ClientHello')
    .configureHelp({ showGlobalOptions: false })
    .usage('keygen|show|dns|rotate|import|export [options]');
  const say = async ({ out, notes = [] }: Said): Promise<void> => {
    await print(out);
    const isQuiet = program.opts<RunFlags>().quiet === true;
    await complain(notes.flatMap(note => renderNote(note, isQuiet)).join(''));
  };
  addKeygen(ech, say);
  ech
    .command('show <file>')
    .description('say what is in a file of keys, an ECHConfigList or a DNS record (- for stdin)')
    .option('--list', 'print the ECHConfigList alone, in base64')
    .action(async (file: string, { list }: { list?: boolean }) =>
      say(await showConfigs(file, list === true)),
    );
  addDns(ech, say);
  addRotate(ech, say);
  ech
    .command('import <config> [key]')
    .description("make PEM of BoringSSL's files (a configuration or a list, and the key), or of Go's JSON")
    .option('--out <file>', 'write it there, or into this folder (default: stdout)')
    .action(async (config: string, key: string | undefined, { out }: { out?: string }) =>
      say(await importKeys(config, key, out)),
    );
  ech
    .command('export <file>')
    .description('give a key the form that another program takes')
    .addOption(
      new Option('--format <form>', 'go: JSON; boringssl: files for -ech-key, -ech-config, -ech-config-list')
        .choices(EXPORT_FORMS)
        .makeOptionMandatory(),
    )
    .option('--out <file>', 'the JSON file (default: stdout), or what the three files begin with')
    .action(async (file: string, { format, out }: { format: ExportForm; out?: string }) =>
      say(await exportKey(file, format, out)),
    );
}

function addKeygen(ech: Command, say: Say): void {
  ech
    .command('keygen')
    .description('make a key')
    .requiredOption(
      '--public-name <name>',
      'the name that clients show instead: a host name that leads to this proxy',
    )
    .option(
      '--out <file>',
      'write it there, or into this folder, for the owner alone; never over a file (default: stdout)',
    )
    .addOption(new Option('--kem <kem>', 'kind of the key').choices(KEM_NAMES).default('x25519'))
    .option(
      '--max-name-length <n>',
      `bytes that clients pad shorter names to, 0 to 255 (default: ${ECH_NAME_LENGTH})`,
    )
    .option('--config-id <n>', 'its number, 0 to 255 (default: a free one by chance)')
    .option('--keys <paths...>', 'keys that are in use elsewhere, whose numbers are not taken')
    .action(async (flags: KeygenFlags) => say(generateKey(flags)));
}

function addDns(ech: Command, say: Say): void {
  ech
    .command('dns <file>')
    .description('print the HTTPS record that publishes a key; of a folder, the newest')
    .requiredOption('--name <name>', 'the name that is to be hidden')
    .option('--port <port>', 'where it is served', '443')
    .option('--target <host>', 'the host that clients connect to (default: the name itself)')
    .option('--alpn <protocols>', 'what the backend speaks, parted by commas', 'h2,http/1.1')
    .option(...TTL)
    .option('--mandatory', 'let clients without Encrypted ClientHello leave the record aside')
    .option('--public-name <name>', 'which of the keys, where a folder has several public names')
    .action(async (file: string, flags: DnsFlags) => say(await publishKey(file, flags)));
}

function addRotate(ech: Command, say: Say): void {
  ech
    .command('rotate <folder>')
    .description('add a new key for each public name of a folder, and remove what is no longer needed')
    .option('--keep <n>', 'older keys of each name to keep, so that they still open hellos', '1')
    .option(...TTL)
    .option('--public-name <name>', 'only for this one')
    .action(async (folder: string, flags: RotateFlags) => say(rotateKeys(folder, flags)));
}

/** Whoever wants it quiet is told of warnings only. */
function renderNote(note: string, isQuiet: boolean): readonly string[] {
  if (note.startsWith('warn: ')) return [`sniway: ${note}\n`];
  return isQuiet ? [] : [`${note}\n`];
}
