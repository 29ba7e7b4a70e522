/** Reads a configuration file. */
import { ConfigError } from '../errors.ts';
import { CONFIG_BYTES_MAX } from '../limits.ts';
import { parseSource } from './config-source.ts';
import { placeEchPaths } from './ech-paths.ts';
import { expandVariables } from './expand-variables.ts';
import type { Environment } from './expand-variables.ts';
import { errorAt } from './findings.ts';
import { includeFiles } from './include-files.ts';
import { isModuleFile, loadModule } from './load-module.ts';
import type { LoadedConfig } from './merge-included.ts';
import { quote } from './plain-text.ts';
import { describeFailure, readText } from './read-text.ts';

export type { LoadedConfig } from './merge-included.ts';

export interface LoadFileOptions {
  readonly environment?: Environment;
  readonly reads?: (path: string) => void;
}

/**
 * Loads a YAML or JSON file (told apart by nothing: JSON is YAML), a pipe included, puts in what its texts take from
 * the environment, and adds the files it includes. JavaScript and TypeScript files are run instead, and see the
 * environment themselves. `reads` hears of each file and folder that is looked at, also if that fails.
 * @throws ConfigError if it cannot be read, is larger than CONFIG_BYTES_MAX or is not UTF-8.
 */
export async function loadConfigFile(
  path: string,
  { environment = process.env, reads = () => undefined }: LoadFileOptions = {},
): Promise<LoadedConfig> {
  const options = { environment, reads };
  reads(path);
  if (isModuleFile(path)) return await includeFiles(placeEchPaths(await loadModule(path)), options);
  const parsed = parseSource(path, await readConfigText(path));
  const { value, problems } = expandVariables(parsed.value, { environment });
  const placed = placeEchPaths({ ...parsed, value, problems: [...parsed.problems, ...problems] });
  return await includeFiles(placed, options);
}

async function readConfigText(path: string): Promise<string> {
  try {
    const { text } = await readText(path, CONFIG_BYTES_MAX);
    return text;
  } catch (error) {
    throw new ConfigError([errorAt([], `cannot read ${quote(path)}: ${describeFailure(error)}`)]);
  }
}
