/** What the runner knows of a proxy under test. */
import type { Mode } from '../load/wire.ts';

/** Connections for this name go to this port of 127.0.0.1. */
export interface Route {
  readonly serverName: string;
  readonly backendPort: number;
}

/** Where a contender listens and what it is to do: relay connections for these exact names, refuse the rest. */
export interface Task {
  readonly port: number;
  readonly routes: readonly Route[];
  /** An empty folder of its own, removed after the run. */
  readonly folder: string;
}

export interface Contender {
  readonly name: string;
  /** It may use the load's processor too: what a connection costs then tells how far its threads are in each other's way. */
  readonly spread: boolean;
  /** Writes its configuration and gives the command that runs it in the foreground; null for no proxy at all. */
  readonly prepare: ((task: Task) => readonly string[]) | null;
  /** The hello that its clients send, where that is another one than all others' clients send. */
  readonly hello?: (serverName: string, mode: Mode) => Buffer;
}
