/** Paths of keys in a configuration file: relative ones start at its folder. */
import { dirname, resolve } from 'node:path';
import { listEchFiles } from './ech-files.ts';
import type { LoadedConfig } from './merge-included.ts';
import { asTexts, isObject } from './read-value.ts';

/** The configuration with paths that hold wherever the process was started. */
export function placeEchPaths(loaded: LoadedConfig): LoadedConfig {
  const { value, source } = loaded;
  if (!isObject(value) || !isObject(value['ech'])) return loaded;
  const { ech } = value;
  const place = (path: unknown): unknown =>
    typeof path === 'string' && path !== '' ? resolve(dirname(source.file), path) : path;
  const keys = Array.isArray(ech['keys']) ? ech['keys'].map(place) : place(ech['keys']);
  return { ...loaded, value: { ...value, ech: { ...ech, keys } } };
}

/** Every file and folder that is looked at for the keys of a configuration, checked or not. */
export function echPathsOf(input: unknown): readonly string[] {
  if (!isObject(input) || !isObject(input['ech'])) return [];
  return asTexts(input['ech']['keys'], []).flatMap(({ text }) => [text, ...filesOf(text)]);
}

/** None for a path that leads nowhere: it is watched itself. */
function filesOf(path: string): readonly string[] {
  try {
    return listEchFiles(path);
  } catch {
    return [];
  }
}
