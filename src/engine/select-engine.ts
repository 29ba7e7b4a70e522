/** Picks the engine for this machine and says why. */
import { SniwayError } from '../errors.ts';
import type { CreateEngine } from './engine.ts';
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
  if (choice === 'linux') {
    throw new SniwayError(
      'ERR_ENGINE_UNAVAILABLE',
      'the linux engine is not part of this version; use --engine portable or --engine auto',
    );
  }
  const why = choice === 'portable' ? 'as configured' : 'the only engine of this version';
  return { name: 'portable', create: createPortableEngine, why };
}
