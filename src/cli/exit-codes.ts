/** Exit codes of the command; docs/command.md lists them. */
export const EXIT = { ok: 0, failure: 1, usage: 2, drainTimeout: 3 } as const;

/** Ends the command with this text on stderr and this exit code; nothing else is printed. */
export class CommandError extends Error {
  readonly exitCode: number;

  constructor(message: string, exitCode: number) {
    super(message);
    this.exitCode = exitCode;
  }
}
