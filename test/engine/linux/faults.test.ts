/** What goes wrong inside one connection, or in the kernel under it, touches nothing else and leaks nothing. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { TestContext } from 'node:test';
import { Reactor } from '../../../src/engine/linux/reactor.ts';
import type { QueuedWork } from '../../../src/engine/linux/reactor.ts';
import { EPOLL_CTL_ADD, F_SETPIPE_SZ } from '../../../src/engine/linux/syscalls/constants.ts';
import { loadKernel } from '../../../src/engine/linux/syscalls/load-kernel.ts';
import { PIPES_IDLE_MS, PIPES_MAX } from '../../../src/limits.ts';
import { buildClientHello } from '../../support/hello-builder.ts';
import { connectNow } from '../../support/raw-sockets.ts';
import type { RawSocket } from '../../support/raw-sockets.ts';
import { WorkerRig, openDescriptors } from '../../support/worker-rig.ts';
import type { Peers, RigOptions } from '../../support/worker-rig.ts';

const HELLO = buildClientHello({ serverName: 'good.example.com' });
const POISON = buildClientHello({ serverName: 'poison.example.com' });
const BULK_BYTES = 24 * 1024 * 1024;
const ENOSPC = 28;
const EPERM = 1;
const EMFILE = 24;
const EINVAL = 22;

const needsKernel = { skip: loadKernel().ok ? false : 'the linux engine cannot run here' };

interface Link {
  client: RawSocket;
  backend: RawSocket;
}

/** A connection past its hello. */
function* connectThrough(rig: WorkerRig, link: Partial<Link>): Peers {
  const client = connectNow(rig.front.port);
  client.sendNow(HELLO);
  let backend: RawSocket | null = null;
  yield () => (backend = rig.back.acceptNow()) !== null;
  yield () => backend!.receiveNow() instanceof Buffer;
  Object.assign(link, { client, backend });
}

/** Says something one way and hears it at the other end. */
function* pingPong({ client, backend }: Link): Peers {
  client.sendNow(Buffer.from('ping'));
  yield () => String(backend.receiveNow()) === 'ping';
  backend.sendNow(Buffer.from('pong'));
  yield () => String(client.receiveNow()) === 'pong';
}

/** Sends a lot from the backend to the client, exactly; `during` is called now and then. */
function* download({ client, backend }: Link, during: () => void = () => undefined): Peers {
  const block = Buffer.alloc(256 * 1024);
  let sent = 0;
  let received = 0;
  yield () => {
    for (let round = 0; round < 4 && sent < BULK_BYTES; round++) {
      block.fill(sent >> 18);
      const count = backend.sendNow(block.subarray(sent % block.length));
      if (count === -1) break;
      sent += count;
    }
    for (let round = 0; round < 4; round++) {
      const bytes = client.receiveNow();
      if (typeof bytes === 'string') break;
      for (let at = 0; at < bytes.length; at += 997)
        assert.equal(bytes[at], ((received + at) >> 18) & 255, `at ${received + at}`);
      received += bytes.length;
    }
    during();
    return received === BULK_BYTES;
  };
}

/** Relays a lot, then ends in order, and checks that nothing is left; answers the rig. */
function relayBulk(t: TestContext, options: RigOptions, during: (rig: WorkerRig) => void): WorkerRig {
  const rig = new WorkerRig(t, options);
  const link = {} as Link;
  rig.run(
    (function* () {
      yield* connectThrough(rig, link);
      yield* download(link, () => during(rig));
      yield* pingPong(link);
      link.client.close();
      link.backend.close();
      yield () => rig.ended.length === 1;
    })(),
  );
  assert.equal(rig.ended[0]?.endReason, 'done');
  assert.deepEqual(rig.notices, []);
  return rig;
}

describe('a fault in one connection', needsKernel, () => {
  test('ends it as internal-error, told once with its stack, and nothing else', t => {
    const rig = new WorkerRig(t, {
      decide(hello) {
        if (hello.serverName?.startsWith('poison') === true) throw new Error('decided to fail');
      },
    });
    const before = openDescriptors();
    const bystander = {} as Link;
    rig.run(
      (function* () {
        yield* connectThrough(rig, bystander);
        const victim = connectNow(rig.front.port);
        victim.sendNow(POISON);
        yield () => victim.receiveNow() === 'ECONNRESET';
        victim.close();
        yield* pingPong(bystander);
        bystander.client.reset();
        yield () => bystander.backend.receiveNow() === 'ECONNRESET';
        bystander.backend.close();
      })(),
    );
    assert.deepEqual(
      rig.ended.map(({ endReason }) => endReason),
      ['internal-error', 'client-reset'],
    );
    assert.equal(rig.notices.length, 1);
    assert.match(
      rig.notices[0]!.message,
      /^connection 1 failed: Error: decided to fail\n +at .*faults\.test/,
    );
    assert.equal(openDescriptors(), before);
  });

  test('closes both sockets when epoll takes no more', t => {
    let refusing = false;
    const rig = new WorkerRig(t, {
      faults: (real, fail) => ({
        epoll_ctl: (epoll, operation, fd, event) =>
          refusing && operation === EPOLL_CTL_ADD
            ? fail(ENOSPC)
            : real.epoll_ctl(epoll, operation, fd, event),
      }),
    });
    const before = openDescriptors();
    const bystander = {} as Link;
    rig.run(
      (function* () {
        yield* connectThrough(rig, bystander);
        refusing = true;
        const victim = connectNow(rig.front.port);
        victim.sendNow(HELLO);
        yield () => victim.receiveNow() === 'ECONNRESET';
        victim.close();
        const backend = rig.back.acceptNow();
        yield () => typeof backend?.receiveNow() === 'string';
        backend?.close();
        refusing = false;
        yield* pingPong(bystander);
        bystander.client.close();
        bystander.backend.close();
        yield () => rig.ended.length === 2;
      })(),
    );
    assert.equal(rig.ended[0]?.endReason, 'internal-error');
    assert.match(rig.notices[0]?.message ?? '', /epoll_ctl ENOSPC/);
    assert.equal(openDescriptors(), before);
  });
});

describe('bulk traffic', needsKernel, () => {
  test('is spliced through pipes, which go back to the pool and are closed once idle', t => {
    const before = openDescriptors();
    let most = 0;
    const rig = relayBulk(t, {}, ({ context }) => (most = Math.max(most, context.pipes.count)));
    assert.ok(most >= 1, 'a pipe was in use');
    const { pipes, reactor } = rig.context;
    assert.ok(pipes.count >= 1, 'it waits for others');
    reactor.now += PIPES_IDLE_MS;
    pipes.onTimer();
    assert.equal(pipes.count, 0);
    // The two listeners and the epoll descriptor of the rig.
    assert.equal(openDescriptors(), before + 3);
  });

  test('is copied when there are no descriptors for a pipe', t => {
    let asked = 0;
    const rig = relayBulk(
      t,
      { faults: (_, fail) => ({ pipe2: () => (asked++, fail(EMFILE)) }) },
      () => undefined,
    );
    assert.ok(asked > 0);
    assert.equal(rig.context.pipes.count, 0);
  });

  test('is copied when only small pipes are to be had, which is not asked again and again', t => {
    let asked = 0;
    const faults: RigOptions['faults'] = (real, fail) => ({
      fcntl: (fd, command, argument) => {
        if (command !== F_SETPIPE_SZ) return real.fcntl(fd, command, argument);
        asked++;
        return fail(EPERM);
      },
    });
    const before = openDescriptors();
    const rig = relayBulk(t, { faults }, () => undefined);
    assert.equal(asked, 3, 'one pipe, in ever smaller sizes');
    assert.equal(rig.context.pipes.count, 0);
    assert.equal(openDescriptors(), before + 3);
  });

  test('is copied when a socket cannot be spliced', t => {
    let asked = 0;
    relayBulk(t, { faults: (_, fail) => ({ splice: () => (asked++, fail(EINVAL)) }) }, () => undefined);
    assert.equal(asked, 1);
  });

  test('is copied while others have all pipes', t => {
    const rig = relayBulk(t, {}, ({ context: { pipes } }) => {
      while (pipes.count < PIPES_MAX) pipes.take();
      assert.ok(pipes.count <= PIPES_MAX);
    });
    assert.ok(rig.context.pipes.count >= PIPES_MAX - 1);
  });
});

describe('the reactor', needsKernel, () => {
  test('lets records be sent although work gives way all the time', () => {
    const loaded = loadKernel();
    assert.ok(loaded.ok);
    const reactor = new Reactor(loaded.kernel, loaded.createArena(64 * 1024), 0);
    const busy: QueuedWork = {
      onTurn: () => reactor.enqueue(busy),
      onFault: error => {
        throw error;
      },
    };
    reactor.enqueue(busy);
    let asked = 0;
    reactor.run(() => {
      if (++asked === 10) reactor.stop();
      return -1;
    });
    loaded.kernel.close(reactor.descriptor);
    assert.equal(asked, 10);
  });
});
