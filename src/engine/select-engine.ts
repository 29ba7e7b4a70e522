/** Picks the engine for this machine and says why. */
import { SniwayError } from '../errors.ts';
import type { CreateEngine } from './engine.ts';
import { createLinuxEngine } from './linux/linux-engine.ts';
import { loadKernel } from './linux/syscalls/load-kernel.ts';
import { createPortableEngine } from './portable/portable-engine.ts';

export type EngineChoice = 'auto' | 'portable' | 'linux';

export interface SelectedEngine {
  readonly name: 'portable' | 'linux';
  readonly create: CreateEngine;
  /** Why this one, for the start-up line. */
  readonly why: string;
}

/** @throws SniwayError `ERR_ENGINE_UNAVAILABLE` when the engine asked for cannot run here. */
export function selectEngine(choice: EngineChoice): SelectedEngine {
  if (choice === 'portable') return { name: 'portable', create: createPortableEngine, why: 'as configured' };
  const loaded = loadKernel();
  if (loaded.ok) {
    const why = choice === 'linux' ? 'as configured' : 'the fastest here';
    return { name: 'linux', create: createLinuxEngine(loaded), why };
  }
  if (choice === 'auto') {
    return {
      name: 'portable',
      create: createPortableEngine,
      why: `the linux engine cannot run: ${loaded.why}`,
    };
  }
  throw new SniwayError(
    'ERR_ENGINE_UNAVAILABLE',
    `the linux engine cannot run: ${loaded.why}; use --engine portable or --engine auto`,
  );
}
