/** A TCP address on loopback that answers no SYN: a stopped process whose accept queue is full. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import type { TestContext } from 'node:test';

const PROGRAM = `
  require('node:net').createServer().listen({ port: 0, host: '127.0.0.1', backlog: 1 }, function () {
    process.stdout.write(this.address().port + '\\n');
  });
`;

export async function startBlackHole(t: TestContext): Promise<{ address: string; port: number }> {
  const child = spawn(process.execPath, ['-e', PROGRAM], { stdio: ['ignore', 'pipe', 'inherit'] });
  const fillers: Socket[] = [];
  t.after(() => {
    for (const filler of fillers) filler.destroy();
    child.kill('SIGKILL');
  });
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  const port = Number(line.toString());
  child.kill('SIGSTOP');
  // The queue is full when a connection no longer completes.
  for (let filled = false; !filled;) {
    const filler = connect({ port, host: '127.0.0.1' });
    filler.on('error', () => undefined);
    fillers.push(filler);
    const slow = new Promise<boolean>(resolve => {
      setTimeout(resolve, 150, true);
    });
    filled = await Promise.race([once(filler, 'connect').then(() => false), slow]);
  }
  return { address: `127.0.0.1:${port}`, port };
}
