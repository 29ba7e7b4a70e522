/** Configurations that are programs with functions in them, run by the command itself. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { selectEngine } from '../../src/engine/select-engine.ts';
import { buildClientHello } from '../support/hello-builder.ts';
import { makeFolder } from '../support/folders.ts';
import { connectRaw, readBytes, readToEnd, startBackend } from '../support/peers.ts';
import { startSniway } from '../support/sniway-process.ts';

const RUNS_TYPESCRIPT = 'typescript' in process.features && process.features.typescript !== false;
const HAS_LINUX = selectEngine('auto').name === 'linux';
const ENGINES = HAS_LINUX ? (['portable', 'linux'] as const) : (['portable'] as const);

const helloFor = (serverName: string): Uint8Array => buildClientHello({ serverName });

/** TypeScript, but for the types that are left out of a program without them. */
const program = (engine: string, backend: string, typed: boolean): string => `
const tenants${typed ? ': ReadonlyMap<string, string>' : ''} = new Map([['red.example.com', '${backend}']]);
export default {
  listen: '127.0.0.1:0',
  engine: '${engine}',
  routes: [
    {
      name: 'tenants',
      match: '*.example.com',
      async decide({ serverName }${typed ? ': { serverName: string }' : ''}) {
        if (serverName === 'fault.example.com') throw new Error('on purpose');
        return tenants.get(serverName) ?? { reject: 'close' };
      },
    },
  ],
};
`;

for (const engine of ENGINES) {
  for (const file of ['sniway.config.mjs', 'sniway.config.mts']) {
    const skip = file.endsWith('.mts') && !RUNS_TYPESCRIPT ? 'Node runs no TypeScript' : false;
    test(`sniway relays where a function of ${file} says, on the ${engine} engine`, { skip }, async t => {
      const backend = await startBackend(t);
      const folder = makeFolder(t, { [file]: program(engine, backend.address, file.endsWith('.mts')) });
      const sniway = await startSniway(t, ['-c', join(folder, file)]);
      const client = await connectRaw(t, sniway.port);
      client.write(helloFor('red.example.com'));
      (await backend.next()).end('red');
      assert.equal((await readToEnd(client)).bytes.toString(), 'red');
      client.end();
      await sniway.accessLines(1);
      for (const [index, name] of ['blue.example.com', 'fault.example.com'].entries()) {
        const refused = await connectRaw(t, sniway.port);
        refused.write(helloFor(name));
        await readToEnd(refused);
        refused.end();
        await sniway.accessLines(index + 2);
      }
      const [relayed = '', denied = '', failed = ''] = sniway.lines();
      assert.match(relayed, /red\.example\.com route=tenants backend=127\.0\.0\.1:\d+ .* end=done$/);
      assert.match(denied, /blue\.example\.com route=tenants backend=- .* end=denied detail=decide$/);
      assert.match(
        failed,
        /fault\.example\.com route=tenants .* end=internal-error detail="decide: on purpose"$/,
      );
      assert.match(
        sniway.stderr(),
        /decide of route 'tenants' failed, .*: Error: on purpose\n +at \S*decide .*sniway\.config/,
      );
    });
  }
}

test(
  'a function that computes for long holds up no worker',
  { skip: !HAS_LINUX && 'there is none' },
  async t => {
    const backend = await startBackend(t);
    const folder = makeFolder(t, {
      'sniway.config.mjs': `export default {
  listen: '127.0.0.1:0',
  engine: 'linux',
  workers: 1,
  routes: [
    { match: 'plain.example.com', backend: '${backend.address}' },
    {
      match: 'busy.example.com',
      decide() {
        console.error('computing');
        for (const end = Date.now() + 2_000; Date.now() < end; );
        return { reject: 'close' };
      },
    },
  ],
};`,
    });
    const sniway = await startSniway(t, ['-c', join(folder, 'sniway.config.mjs'), '--log-format', 'none']);
    const busy = await connectRaw(t, sniway.port);
    const state = { isAnswered: false };
    const answered = readToEnd(busy).then(() => (state.isAnswered = true));
    busy.write(helloFor('busy.example.com'));
    // The main thread cannot say so any more: the loop below starts at once, and lasts for as long as it computes.
    let relayed = 0;
    while (!state.isAnswered) {
      const client = await connectRaw(t, sniway.port);
      const hello = helloFor('plain.example.com');
      client.write(hello);
      const server = await backend.next();
      await readBytes(server, hello.length);
      server.end('plain');
      assert.equal((await readToEnd(client)).bytes.toString(), 'plain');
      client.end();
      relayed++;
    }
    await answered;
    assert.ok(relayed > 50, `${relayed} connections in two seconds`);
  },
);
