/** Opens what a configuration listens on and is not open yet, alike for every engine. */
import type { ListenTarget } from './engine.ts';
import { openingOrder } from './inherited-sockets.ts';
import type { InheritedSockets } from './inherited-sockets.ts';
import { describeTarget, listenError } from './listen-error.ts';

interface Listening {
  readonly target: ListenTarget;
}

export interface OpeningOptions<T> {
  /** What is open now. */
  readonly open: readonly T[];
  /** Nothing was ever open: only then are descriptors taken that no list of inherited ones names. */
  readonly isStart: boolean;
  readonly inherited: InheritedSockets | undefined;
  /** Opens the target of this index; `others` stay open beside it. */
  readonly openOne: (target: ListenTarget, index: number, others: readonly T[]) => Promise<T>;
  readonly close: (listener: T) => void;
}

export interface OpenedTargets<T> {
  /** In the order of the targets; those that were open for the same target are the same. */
  readonly listeners: readonly T[];
  /** Those that were open and are not wanted any more. */
  readonly gone: readonly T[];
  /** Closes what was opened. */
  readonly abandon: () => void;
}

/** @throws SniwayError `ERR_LISTEN` if one cannot be opened; those that were opened before it are closed then. */
export async function openTargets<T extends Listening>(
  targets: readonly ListenTarget[],
  { open, isStart, inherited, openOne, close }: OpeningOptions<T>,
): Promise<OpenedTargets<T>> {
  const gone = new Set(open);
  const fresh: T[] = [];
  const listeners: T[] = [];
  const abandon = (): void => fresh.forEach(close);
  try {
    for (const index of openingOrder(targets, inherited)) {
      const target = targets[index]!;
      const kept = takeOpen(gone, target);
      if (kept === null) {
        if (!isStart) requireOpenable(target, inherited);
        fresh.push(await openOne(target, index, [...open, ...fresh]));
      }
      listeners[index] = kept ?? fresh.at(-1)!;
    }
  } catch (error) {
    abandon();
    throw error;
  }
  return { listeners, gone: [...gone], abandon };
}

/** Takes the listener of a target out; null if there is none. */
function takeOpen<T extends Listening>(open: Set<T>, target: ListenTarget): T | null {
  const text = describeTarget(target);
  for (const listener of open) {
    if (describeTarget(listener.target) !== text) continue;
    open.delete(listener);
    return listener;
  }
  return null;
}

/** Descriptors are inherited when a process starts. What has that number later is something else. */
function requireOpenable(target: ListenTarget, inherited: InheritedSockets | undefined): void {
  if (target.kind === 'fd' && inherited?.has(target) !== true) throw listenError(target, 'EBADF');
}
