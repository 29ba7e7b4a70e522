/** What the runner knows of a proxy under test. */

/** Where a contender listens and what it is to do: relay connections for one exact name, refuse the rest. */
export interface Task {
  readonly port: number;
  readonly serverName: string;
  readonly backendPort: number;
  /** An empty folder of its own, removed after the run. */
  readonly folder: string;
}

export interface Contender {
  readonly name: string;
  /** Writes its configuration and gives the command that runs it in the foreground; null for no proxy at all. */
  readonly prepare: ((task: Task) => readonly string[]) | null;
}
