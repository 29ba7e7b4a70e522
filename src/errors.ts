/** Codes of the errors this package throws. Stable: match on `error.code`, never on the message. */
export type SniwayErrorCode =
  /** The configuration cannot be used; a {@link ConfigError} with all that is wrong. */
  | 'ERR_CONFIG'
  /** An address cannot be listened on; `cause` is the system's error. */
  | 'ERR_LISTEN'
  /** The configured engine cannot run here. */
  | 'ERR_ENGINE_UNAVAILABLE'
  /** A call at the wrong time, such as a second `start`. */
  | 'ERR_STATE'
  /** A fault of this package: please report it. */
  | 'ERR_INVARIANT';

/** Base class of every error thrown by this package. */
export class SniwayError extends Error {
  /** Stable, machine-readable reason. */
  readonly code: SniwayErrorCode;

  constructor(code: SniwayErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'SniwayError';
    this.code = code;
  }
}

/** One thing wrong with a configuration. */
export interface ConfigProblem {
  /** Keys and indexes from the root of the configuration to the value, for example `['routes', 0, 'match']`. */
  readonly path: readonly (string | number)[];
  /** What is wrong and how to mend it, one sentence without a final full stop. */
  readonly message: string;
  /** `error` keeps the configuration from being used, `warning` does not. */
  readonly severity: 'error' | 'warning';
}

/** A configuration that cannot be used; `problems` holds all that is wrong with it, not only the first. */
export class ConfigError extends SniwayError {
  /** In the order they were found; at least one. */
  readonly problems: readonly ConfigProblem[];

  constructor(problems: readonly ConfigProblem[]) {
    super('ERR_CONFIG', problems.map(describeProblem).join('\n'));
    this.name = 'ConfigError';
    this.problems = problems;
  }
}

/** `routes[0].match: text`, the way a configuration problem is shown where no file is known. */
export function describeProblem(problem: ConfigProblem): string {
  const path = problem.path
    .map((step, index) => (typeof step === 'number' ? `[${step}]` : index === 0 ? step : `.${step}`))
    .join('');
  return path === '' ? problem.message : `${path}: ${problem.message}`;
}
