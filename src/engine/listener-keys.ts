/** Which listeners a reload keeps: those of the same target, which are the same sockets then. */
import type { ListenTarget } from './engine.ts';
import type { InheritedSockets } from './inherited-sockets.ts';
import { describeTarget, listenError } from './listen-error.ts';

/**
 * Descriptors are inherited when a process starts. What has that number later is something else.
 * @throws SniwayError `ERR_LISTEN` for an `fd:N` that a reload adds.
 */
export function requireOpenable(
  target: ListenTarget,
  inherited: InheritedSockets | undefined,
  isStart: boolean,
): void {
  if (isStart || target.kind !== 'fd' || inherited?.has(target) === true) return;
  throw listenError(target, 'EBADF');
}

/** Takes the open listener of a target out of `open`; null if there is none. */
export function takeOpen<T extends { readonly target: ListenTarget }>(
  open: Set<T>,
  target: ListenTarget,
): T | null {
  const key = describeTarget(target);
  for (const listener of open) {
    if (describeTarget(listener.target) !== key) continue;
    open.delete(listener);
    return listener;
  }
  return null;
}
