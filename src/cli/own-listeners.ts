/** The listeners of a configuration as the address guard knows them, for commands that open none. */
import type { OwnListener } from '../backends/address-guard.ts';
import type { CheckedConfig } from '../config/check-config.ts';

export function ownListeners({ listen }: CheckedConfig): OwnListener[] {
  return listen.flatMap(target =>
    target.kind === 'tcp' ? [{ address: target.address, port: target.port }] : [],
  );
}
