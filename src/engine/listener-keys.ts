/** Which listeners a reload keeps: those of the same target, which are the same sockets then. */
import type { ListenTarget } from './engine.ts';
import { describeTarget } from './listen-error.ts';

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
