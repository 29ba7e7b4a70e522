/** `sniway init`: writes a sample configuration to begin with. */
import { writeFile } from 'node:fs/promises';
import { isModuleFile } from '../config/load-module.ts';
import { quote } from '../config/plain-text.ts';
import { describeFailure } from '../config/read-text.ts';
import { sampleConfig } from '../config/sample-config.ts';
import type { SampleFormat } from '../config/sample-formats.ts';
import { CommandError, EXIT } from './exit-codes.ts';
import { shellWord } from './shell-word.ts';

const FILES = { yaml: 'sniway.yaml', ts: 'sniway.config.mts' } as const;

/**
 * Writes the sample and gives the text for stdout. Without a format, the name of the file decides; without a name, the
 * format does.
 * @throws CommandError if the file is there already or cannot be written.
 */
export async function initConfig(
  file: string | undefined,
  format: SampleFormat | undefined,
): Promise<string> {
  const chosen = format ?? (file !== undefined && isModuleFile(file) ? 'ts' : 'yaml');
  const path = file ?? FILES[chosen];
  try {
    await writeFile(path, sampleConfig(chosen), { flag: 'wx' });
  } catch (error) {
    const exists = error instanceof Error && 'code' in error && error.code === 'EEXIST';
    const message = exists
      ? `${quote(path)} is there already, and is left as it is: name another file`
      : `cannot write ${quote(path)}: ${describeFailure(error).replace('no such file', 'no such folder')}`;
    throw new CommandError(`sniway: error: ${message}`, EXIT.failure);
  }
  return `wrote ${quote(path)}; to check it after a change: sniway check -c ${shellWord(path)}\n`;
}
