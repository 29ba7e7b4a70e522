/** One configuration and what the main thread decides by it. A reload makes another one, and lets this one go. */
import { createAddressGuard } from './backends/address-guard.ts';
import type { AddressGuard } from './backends/address-guard.ts';
import type { NameResolver } from './backends/names.ts';
import { literalEndpoint } from './backends/pool.ts';
import type { CheckedConfig } from './config/check-config.ts';
import type { Decider, SettleContext } from './decide.ts';
import { ConfigError } from './errors.ts';
import { EchFaults } from './engine/ech-faults.ts';
import type { EchFault } from './engine/ech-faults.ts';
import type { BoundAddress, Notice } from './events.ts';
import { PendingCounts } from './limiting/pending-counts.ts';
import type { Live } from './live.ts';
import { createSnapshot } from './snapshot.ts';

export class InForce {
  readonly config: CheckedConfig;
  readonly decider: Decider;
  readonly guard: AddressGuard;
  readonly pending: PendingCounts;
  readonly #echFaults = new EchFaults();
  /** What is listened on; the guard lets nobody dial it. */
  addresses: readonly BoundAddress[] = [];

  constructor(config: CheckedConfig, live: Live) {
    this.config = config;
    this.decider = { snapshot: createSnapshot(config), live };
    this.guard = createAddressGuard({ ...config, ownListeners: () => this.addresses });
    this.pending = new PendingCounts(live.limits, config.pending.perClient);
  }

  /** Once for each backend. */
  tellEchFault(fault: EchFault, tell: (notice: Notice) => void): void {
    if (!this.#echFaults.tells(fault, this.decider.snapshot.ech)) return;
    const { route, backend, why } = fault;
    const message = `backend ${backend} of route '${route}' fails clients that encrypt their hello: ${why}`;
    tell({ level: 'warn', message });
  }

  /** What a question of a connection is settled with. */
  settleContext(resolver: NameResolver): SettleContext {
    const { policies, dialTimeoutMs: timeoutMs } = this.config;
    return { resolver, guard: this.guard, policies, timeoutMs };
  }

  /**
   * Addresses that only binding made known (port 0, inherited sockets) may turn a backend into a loop.
   * @throws ConfigError with all loops.
   */
  requireNoLoops(): void {
    const loops = this.decider.snapshot.routes.flatMap(({ name, action }) =>
      (action.kind === 'relay' ? action.pool.backends : []).flatMap(({ backend }) => {
        const endpoint = literalEndpoint(backend);
        const reason = endpoint === null ? null : this.guard.refusal(endpoint, false);
        const message = `the backend of route '${name}' would loop: ${reason}`;
        return reason === null ? [] : [{ path: ['routes'], message, severity: 'error' as const }];
      }),
    );
    if (loops.length > 0) throw new ConfigError(loops);
  }
}
