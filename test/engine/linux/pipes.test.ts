/** More bulk traffic than there are pipes: some is spliced, the rest is copied, and nothing is lost. */
import assert from 'node:assert/strict';
import { readdirSync, readlinkSync } from 'node:fs';
import { test } from 'node:test';
import { loadKernel } from '../../../src/engine/linux/syscalls/load-kernel.ts';
import { PIPES_MAX } from '../../../src/limits.ts';
import { startEngine } from '../../support/engines.ts';
import { buildClientHello } from '../../support/hello-builder.ts';
import { connectRaw, eventually, readBytes, startBackend } from '../../support/peers.ts';

const NAME = 'bulk.example.com';
const HELLO = buildClientHello({ serverName: NAME });
const FLOWS = PIPES_MAX + 8;
/** More than what the kernel's buffers on the way hold, so that each flow fills its pipe. */
const CHUNKS = 10;
/** The chunk of a flow tells both numbers by their sum. */
const chunks = Array.from({ length: FLOWS + CHUNKS }, (_, sum) => Buffer.alloc(1024 * 1024, sum + 1));

function pipeEnds(): number {
  return readdirSync('/proc/self/fd').filter(fd => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).startsWith('pipe:');
    } catch {
      return false;
    }
  }).length;
}

test(
  'bulk flows beyond the pipes of a worker arrive whole, and the pipes are no more than their bound',
  { skip: loadKernel().ok ? false : 'the linux engine cannot run here' },
  async t => {
    const server = await startBackend(t);
    const routes = [{ match: NAME, backend: server.address }];
    const { port, ended } = await startEngine(t, { engine: 'linux', workers: 1, routes });
    const before = pipeEnds();
    const clients = [];
    for (let flow = 0; flow < FLOWS; flow++) {
      const client = await connectRaw(t, port);
      client.pause();
      client.write(HELLO);
      const backend = await server.next();
      await readBytes(backend, HELLO.length);
      for (let chunk = 0; chunk < CHUNKS; chunk++) backend.write(chunks[flow + chunk]!);
      backend.end();
      clients.push(client);
    }
    await eventually('all pipes are in use', () => pipeEnds() - before === 2 * PIPES_MAX);
    for (const [flow, client] of clients.entries()) {
      for (let chunk = 0; chunk < CHUNKS; chunk++) {
        const sent = chunks[flow + chunk]!;
        assert.ok((await readBytes(client, sent.length)).equals(sent), `flow ${flow}, chunk ${chunk}`);
        assert.ok(pipeEnds() - before <= 2 * PIPES_MAX);
      }
      client.end();
    }
    await eventually('all have ended', () => ended.length === FLOWS);
    assert.deepEqual(new Set(ended.map(({ endReason }) => endReason)), new Set(['done']));
  },
);
