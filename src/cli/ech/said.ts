/** What a subcommand of `sniway ech` answers, and how it refuses. */
import { escapeControls } from '../../config/plain-text.ts';
import { CommandError, EXIT } from '../exit-codes.ts';

export interface Said {
  /** What was asked for, for stdout. */
  readonly out: string;
  /** What is worth knowing beside it, for stderr. */
  readonly notes?: readonly string[];
}

/** What the operator has got wrong, with the place and the remedy; for throwing. */
export function mistake(message: string): CommandError {
  return new CommandError(`sniway: error: ${message}`, EXIT.usage);
}

/** A whole number within bounds. */
export function readNumber(flag: string, text: string, { min, max }: { min: number; max: number }): number {
  const value = /^[0-9]{1,10}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= min && value <= max) return value;
  throw mistake(`${flag} ${escapeControls(text)}: give a whole number from ${min} to ${max}`);
}
