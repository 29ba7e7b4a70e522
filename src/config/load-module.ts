/** Configurations that are programs: JavaScript or TypeScript modules whose default export is the configuration. */
import { extname, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { ConfigError } from '../errors.ts';
import { CONFIG_MODULE_TIMEOUT_MS } from '../limits.ts';
import type { ParsedSource } from './config-source.ts';
import { errorAt } from './findings.ts';
import { escapeControls, quote } from './plain-text.ts';
import { CAUSES } from './read-text.ts';
import { isObject } from './read-value.ts';

const TYPESCRIPT = ['.mts', '.ts', '.cts'];
const EXTENSIONS = new Set([...TYPESCRIPT, '.mjs', '.js', '.cjs']);

/** Each load is a module of its own: Node would answer with what the file held when it was loaded first. */
let loads = 0;

/** Whether a file is loaded as a program. */
export function isModuleFile(path: string): boolean {
  return EXTENSIONS.has(extname(path));
}

/**
 * Runs the module and takes its default export. Nothing in it has a place in a text, so its problems are told by their
 * keys. What the module imports itself is loaded once in the life of a process.
 * @throws ConfigError if it cannot be loaded, takes too long or exports no object.
 */
export async function loadModule(
  path: string,
  timeoutMs: number = CONFIG_MODULE_TIMEOUT_MS,
): Promise<ParsedSource> {
  const url = pathToFileURL(resolve(path));
  url.searchParams.set('load', String(loads++));
  const loaded = await importWithin(url, { path, timeoutMs });
  const value = isObject(loaded) ? loaded.default : undefined;
  if (!isObject(value)) {
    const what = value === undefined ? 'it has no default export' : 'its default export is no object';
    throw unloadable(path, `${what}: write export default defineConfig({ ... })`);
  }
  return { value: { ...value }, problems: [], source: { file: path, text: '', locate: () => null } };
}

async function importWithin(
  url: URL,
  { path, timeoutMs }: { path: string; timeoutMs: number },
): Promise<unknown> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(
      () =>
        reject(unloadable(path, `it has not ended within ${timeoutMs / 1_000} s: look at what it awaits`)),
      timeoutMs,
    );
  });
  try {
    return (await Promise.race([import(url.href), late])) as unknown;
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    throw unloadable(path, describeError(error, path));
  } finally {
    clearTimeout(timer);
  }
}

function describeError(error: unknown, path: string): string {
  if (!(error instanceof Error)) return `it throws ${quote(String(error))}`;
  const code = 'code' in error ? String(error.code) : '';
  if (code in CAUSES && !('url' in error)) return CAUSES[code] ?? '';
  if (code === 'ERR_UNKNOWN_FILE_EXTENSION' && TYPESCRIPT.includes(extname(path))) return NO_TYPESCRIPT;
  if (code === 'ERR_MODULE_NOT_FOUND' && error.message.includes(resolve(path))) {
    if (error.message.startsWith(`Cannot find module '${resolve(path)}'`)) return CAUSES['ENOENT'] ?? '';
    if (error.message.includes("package 'sniway'")) return NO_PACKAGE;
  }
  const place = placeOf(error, path);
  // Node keeps the place of most syntax errors to itself.
  const isHidden = error instanceof SyntaxError && place === '';
  const check = isHidden ? `; node --check ${quote(path)} shows the place` : '';
  return `${error.name}: ${firstLine(error.message)}${place}${check}`;
}

const NO_TYPESCRIPT =
  `Node ${process.versions.node} runs no TypeScript: use Node 22.18 or newer, or write the configuration as ` +
  'JavaScript (sniway.config.mjs; a comment /** @type {import("sniway").SniwayConfig} */ keeps it checked)';

const NO_PACKAGE =
  'the package sniway is not installed beside it: run npm install sniway there, or do without defineConfig and ' +
  'write export default { ... }';

/** ` (line 3)` or ` (line 3, column 5)`, as far as the stack tells a place in the file itself. */
function placeOf({ stack = '' }: Error, path: string): string {
  const url = pathToFileURL(resolve(path)).href;
  for (const [, file = '', line = '', column] of stack.matchAll(
    /(file:\/\/[^\s)]+?):([0-9]+)(?::([0-9]+))?(?=[\s)]|$)/g,
  )) {
    if (withoutQuery(file) === url)
      return ` (line ${line}${column === undefined ? '' : `, column ${column}`})`;
  }
  return '';
}

function withoutQuery(url: string): string {
  return pathToFileURL(fileURLToPath(url)).href;
}

function firstLine(text: string): string {
  return escapeControls(text.split('\n')[0] ?? '');
}

function unloadable(path: string, cause: string): ConfigError {
  return new ConfigError([errorAt([], `cannot load ${quote(path)}: ${cause}`)]);
}
