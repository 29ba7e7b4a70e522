/** What becomes of a worker's listening sockets when it stops serving them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { ServedListeners } from '../../../src/engine/linux/served-listeners.ts';
import { loadKernel } from '../../../src/engine/linux/syscalls/load-kernel.ts';
import { connectRaw, eventuallyRefused } from '../../support/peers.ts';
import { WorkerRig } from '../../support/worker-rig.ts';

const needsKernel = { skip: loadKernel().ok ? false : 'the linux engine cannot run here' };

interface Served {
  readonly rig: WorkerRig;
  readonly listeners: ServedListeners;
  readonly accepted: () => number;
}

/** Serves the front listener of a rig whose reactor does not run: whoever connects stays in the queue. */
function serve(t: TestContext, owned: boolean): Served {
  const rig = new WorkerRig(t);
  let accepted = 0;
  const listeners = new ServedListeners(rig.context, {
    accept: fd => {
      accepted++;
      rig.context.sockets.close(fd);
    },
    refused: () => undefined,
  });
  listeners.serve(
    [{ fds: [rig.front.fd], number: 0, text: 'front', owned }],
    [{ gate: null, facts: { rules: null, scope: null } }],
  );
  return { rig, listeners, accepted: () => accepted };
}

test(
  'a listener that is not served any more: its queue is accepted, then nobody can connect',
  needsKernel,
  async t => {
    const { rig, listeners, accepted } = serve(t, true);
    await Promise.all(Array.from({ length: 20 }, () => connectRaw(t, rig.front.port)));
    assert.equal(accepted(), 0);
    listeners.serve([], []);
    assert.equal(accepted(), 20);
    await eventuallyRefused(rig.front.port);
  },
);

test('a socket that others accept on too is left to them, with its queue', needsKernel, async t => {
  const { rig, listeners, accepted } = serve(t, false);
  await connectRaw(t, rig.front.port);
  listeners.close(false);
  await connectRaw(t, rig.front.port);
  assert.equal(accepted(), 0);
});
