/** Which listeners a reload keeps: those of the same target, which are the same sockets then. */
import type { ListenTarget } from './engine.ts';

/** Texts that are equal for targets that are. */
export function keyOfTarget(target: ListenTarget): string {
  switch (target.kind) {
    case 'tcp':
      return `${target.address} ${target.port}`;
    case 'unix':
      return `unix ${target.path}`;
    case 'fd':
      return `fd ${target.fd}`;
  }
}

/** Takes the open listener of a target out of `open`; null if there is none. */
export function takeOpen<T extends { readonly key: string }>(open: Set<T>, target: ListenTarget): T | null {
  const key = keyOfTarget(target);
  for (const listener of open) {
    if (listener.key !== key) continue;
    open.delete(listener);
    return listener;
  }
  return null;
}
