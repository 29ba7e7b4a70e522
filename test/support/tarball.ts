/** The package as npm packs it, and an empty folder that it is installed in. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { run } from './programs.ts';
import { projectRoot } from './project.ts';

export interface Tarball {
  readonly file: string;
  /** Paths within the package. */
  readonly files: readonly string[];
  readonly size: number;
  readonly unpackedSize: number;
}

interface Packed {
  readonly filename: string;
  readonly files: readonly { readonly path: string }[];
  readonly size: number;
  readonly unpackedSize: number;
}

export async function packTarball(t: TestContext): Promise<Tarball> {
  const folder = mkdtempSync(join(tmpdir(), 'sniway-pack-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const command = ['npm', 'pack', '--json', '--ignore-scripts', '--pack-destination', folder] as const;
  const { code, stdout, stderr } = await run(t, command, '', { cwd: projectRoot });
  if (code !== 0) throw new Error(`npm pack: ${stderr}`);
  const packed = Object.values(JSON.parse(stdout) as Packed[])[0]!;
  const { filename, files, size, unpackedSize } = packed;
  return { file: join(folder, filename), files: files.map(({ path }) => path), size, unpackedSize };
}

/** The folder, with nothing but the package and what it depends on. */
export async function installTarball(t: TestContext, { file }: Tarball): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'sniway-install-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  writeFileSync(join(folder, 'package.json'), '{ "private": true }');
  const quiet = ['--prefer-offline', '--ignore-scripts', '--no-audit', '--no-fund'];
  const { code, stderr } = await run(t, ['npm', 'install', ...quiet, file], '', { cwd: folder });
  if (code !== 0) throw new Error(`npm install: ${stderr}`);
  return folder;
}
