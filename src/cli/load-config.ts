/** From flags (and a file) to a checked configuration, or to one text with all that is wrong. */
import { inspectConfig } from '../config/check-config.ts';
import type { CheckedConfig } from '../config/check-config.ts';
import { echPathsOf } from '../config/ech-paths.ts';
import { withoutEchoes } from '../config/expand-variables.ts';
import { loadConfigFile } from '../config/load-file.ts';
import type { LoadedConfig } from '../config/load-file.ts';
import { renderProblems } from '../config/render-problems.ts';
import { ConfigError } from '../errors.ts';
import { escapeControls } from '../config/plain-text.ts';
import { mergeFlags } from './config-flags.ts';
import type { ConfigFlags, MergedConfig } from './config-flags.ts';
import { CommandError, EXIT } from './exit-codes.ts';

export interface CommandConfig {
  readonly config: CheckedConfig;
  /** Warnings, rendered; empty if there is none. */
  readonly warnings: string;
  /** Further problems of this configuration, each with the flag or the place in a file that it belongs to. */
  readonly render: (problems: Problems) => string;
}

export interface LoadOptions {
  /** A listener to assume where none is given, for commands that open none. */
  readonly listenDefault?: string;
  /** Hears of each file and folder that is looked at. */
  readonly reads?: (path: string) => void;
}

/** What somebody sees who starts the command for the first time, without anything that could be relayed. */
const NOTHING_TO_RELAY = `sniway: error: nothing to relay: Sniway relays only names it is told, never all. For example:

  sniway -l 443 -r 'www.example.com=10.0.0.5:443'    this name goes to that backend
  sniway -l 443 -s .internal.example.com             every name below is dialled by itself
  sniway -c /etc/sniway.yaml                         routes from a file

sniway --help has more.`;

/** @throws CommandError (exit code 2) with every problem rendered. */
export async function loadCommandConfig(
  flags: ConfigFlags,
  options: LoadOptions = {},
): Promise<CommandConfig> {
  if (flags.config === undefined && flags.route === undefined && flags.suffix === undefined) {
    throw new CommandError(NOTHING_TO_RELAY, EXIT.usage);
  }
  const file = flags.config === undefined ? null : await loadFile(flags.config, options);
  if (file !== null && file.value === undefined) {
    throw new CommandError(renderProblems(file.problems, file.source), EXIT.usage);
  }
  const merged = mergeFlags(file?.value, flags);
  for (const path of echPathsOf(merged.input)) options.reads?.(path);
  const { config, problems } = inspectConfig(
    withListener(merged.input, options.listenDefault),
    file?.describe === undefined ? {} : { describe: file.describe },
  );
  const ofFile = file?.problems ?? [];
  const rendered = renderAll([...ofFile, ...withoutEchoes(problems, ofFile)], merged, file);
  if (config === null || ofFile.some(({ severity }) => severity === 'error'))
    throw new CommandError(rendered, EXIT.usage);
  return { config, warnings: rendered, render: further => renderAll(further, merged, file) };
}

async function loadFile(path: string, { reads = () => undefined }: LoadOptions): Promise<LoadedConfig> {
  try {
    return await loadConfigFile(path, { reads });
  } catch (error) {
    if (error instanceof ConfigError) throw new CommandError(renderProblems(error.problems), EXIT.usage);
    throw error;
  }
}

function withListener(input: unknown, listen: string | undefined): unknown {
  if (listen === undefined || typeof input !== 'object' || input === null || Array.isArray(input))
    return input;
  return isGiven((input as { listen?: unknown }).listen) ? input : { ...input, listen };
}

function isGiven(value: unknown): boolean {
  return value !== undefined && !(Array.isArray(value) && value.length === 0);
}

type Problems = Parameters<typeof renderProblems>[0];

/** Problems of flags name the flag, problems of the file their place in it. */
function renderAll(problems: Problems, merged: MergedConfig, file: LoadedConfig | null): string {
  const ofFlags = problems.flatMap(problem => {
    const origin = merged.originOf(problem.path);
    return origin === null ? [] : [`${escapeControls(origin)}  ${problem.severity}  ${problem.message}`];
  });
  const others = problems.filter(problem => merged.originOf(problem.path) === null);
  const placed = renderProblems(others, file?.source);
  return [...ofFlags, ...(placed === '' ? [] : [placed])].join('\n');
}
