/** Paths of keys in a configuration file: relative ones start at its folder. */
import { dirname, resolve } from 'node:path';
import { listEchFiles } from './ech-files.ts';
import { isFileContent } from './file-path.ts';
import type { LoadedConfig } from './merge-included.ts';
import { asObject, asPlaced, asTexts, isObject } from './read-value.ts';

/** The configuration with paths that hold wherever the process was started. */
export function placeEchPaths(loaded: LoadedConfig): LoadedConfig {
  const { value, source } = loaded;
  if (!isObject(value) || !isObject(value['ech'])) return loaded;
  const { ech } = value;
  const place = (path: unknown): unknown =>
    typeof path === 'string' && path !== '' && !isFileContent(path)
      ? resolve(dirname(source.file), path)
      : path;
  const placeFiles = (one: unknown): unknown =>
    isObject(one) ? { ...one, certificate: place(one['certificate']), key: place(one['key']) } : one;
  const placed = {
    ...ech,
    ...('keys' in ech ? { keys: eachOf(ech['keys'], place) } : {}),
    ...('retry' in ech ? { retry: eachOf(ech['retry'], placeFiles) } : {}),
  };
  return { ...loaded, value: { ...value, ech: placed } };
}

/**
 * Every file and folder that is looked at for the keys of a configuration, checked or not. A folder comes before it is
 * listed, so that whoever notes what it looks like then sees whatever changes later.
 */
export function* echPathsOf(input: unknown): Generator<string> {
  if (!isObject(input) || !isObject(input['ech'])) return;
  const { keys, retry } = input['ech'];
  for (const { text } of asTexts(keys, [])) {
    if (isFileContent(text)) continue;
    yield text;
    yield* filesOf(text);
  }
  for (const { value } of asPlaced(retry, [])) {
    const { certificate, key } = asObject(value);
    for (const { text } of [...asTexts(certificate, []), ...asTexts(key, [])]) {
      if (!isFileContent(text)) yield text;
    }
  }
}

function eachOf(value: unknown, change: (one: unknown) => unknown): unknown {
  return Array.isArray(value) ? value.map(change) : change(value);
}

/** None for a path that leads nowhere: it is watched itself. */
function filesOf(path: string): readonly string[] {
  try {
    return listEchFiles(path);
  } catch {
    return [];
  }
}
