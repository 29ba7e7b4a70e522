/** Bun, whose TLS is BoringSSL's: a backend that knows inner hellos and serves many connections at once. */
import { accessSync, constants, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { eventually } from './peers.ts';
import { start } from './programs.ts';
import { projectRoot } from './project.ts';

/** Where `npm ci --prefix test/peers --ignore-scripts` lays the package that fits the machine. */
const FOLDER = join(projectRoot, 'test', 'peers', 'node_modules', '@oven');

const START_MS_MAX = 10_000;

/** Options for a test that needs Bun: like `needs` for programs. */
export function needsBun(): { skip: string | false } {
  const isMissing = findBun() === null && process.env['CI'] !== 'true';
  return { skip: isMissing && 'Bun not installed: npm ci --prefix test/peers --ignore-scripts' };
}

function findBun(): string | null {
  try {
    for (const name of readdirSync(FOLDER)) {
      const program = join(FOLDER, name, 'bin', 'bun');
      accessSync(program, constants.X_OK);
      return program;
    }
  } catch {
    // Not installed, or not for this machine.
  }
  return null;
}

/** Runs the web server of https-program.ts; gives back its ports, the second of which asks for second hellos. */
export async function startBun(
  t: TestContext,
  { cert, key }: { cert: string; key: string },
): Promise<{ port: number; retryingPort: number }> {
  const bun = findBun();
  if (bun === null) throw new Error(`there is no Bun in ${FOLDER}`);
  const program = join(projectRoot, 'dist', 'test', 'support', 'https-program.js');
  const running = start(t, [bun, program, cert, key]);
  await eventually('Bun listens', () => running.stdout().endsWith('\n'), START_MS_MAX);
  const [port = 0, retryingPort = 0] = running.stdout().split(' ').slice(1).map(Number);
  return { port, retryingPort };
}
