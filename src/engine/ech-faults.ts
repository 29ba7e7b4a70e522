/** Backends that do not know inner hellos: each is told of once, until a reload. */
import { ECH_FAULTS_MAX } from '../limits.ts';

export interface EchFault {
  /** Name of the route. */
  readonly route: string;
  /** The address of the backend. */
  readonly backend: string;
  /** What is wrong with it, in a few words. */
  readonly why: string;
}

/** Remembers what was told; of more than ECH_FAULTS_MAX backends nothing is told. */
export class EchFaults {
  readonly #told = new Set<string>();

  /** Whether this one is to be told of now, by the settings in force. */
  tells({ route, backend }: EchFault, settings: { readonly verifiesBackends: boolean } | null): boolean {
    const key = `${route} ${backend}`;
    if (settings?.verifiesBackends !== true || this.#told.has(key)) return false;
    if (this.#told.size >= ECH_FAULTS_MAX) return false;
    this.#told.add(key);
    return true;
  }

  forget(): void {
    this.#told.clear();
  }
}
