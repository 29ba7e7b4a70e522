/** What the command prints and then ends: help, answers to subcommands, complaints. */
import { CommandError, EXIT } from './exit-codes.ts';

/**
 * Prints to stdout. A reader that has seen enough (`| head`) is no fault.
 * @throws CommandError (exit code 1) if it cannot be written, as on a full disk.
 */
export async function print(text: string): Promise<void> {
  const error = await write(process.stdout, text);
  if (error === null || codeOf(error) === 'EPIPE') return;
  throw new CommandError(`sniway: error: cannot write to stdout: ${error.message}`, EXIT.failure);
}

/** Prints to stderr; nobody is left to be told if that fails. */
export async function complain(text: string): Promise<void> {
  await write(process.stderr, text);
}

/** Without a listener of its own, Node would end the process with the stack of a failed write. */
function write(stream: NodeJS.WriteStream, text: string): Promise<Error | null> {
  return new Promise(resolve => {
    stream.on('error', resolve);
    stream.write(text, error => resolve(error ?? null));
  });
}

function codeOf(error: Error): string {
  return 'code' in error ? String(error.code) : '';
}
