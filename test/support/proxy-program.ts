/**
 * A program that embeds proxies and does what its standard input says, for tests of what happens around the main
 * thread. Its argument is a list of configurations as JSON. Prints `ports P...` once they listen, then answers:
 *
 *   block MS   blocks its main thread that long; prints `blocking` before and `back` after
 *   counts     prints `counts OPENED ENDED DROPPED` of all proxies
 *   kill       ends all proxies; prints `left DESCRIPTORS HANDLES`: how many more there are than before them
 *   exit       calls process.exit()
 */
import { readdirSync, writeSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { createProxy } from '../../src/index.ts';
import type { SniwayConfig } from '../../src/index.ts';

/** At once, even while the main thread is about to be blocked. */
function say(text: string): void {
  writeSync(1, `${text}\n`);
}

const descriptors = (): number => readdirSync('/proc/self/fd').length;
const handles = (): number => process.getActiveResourcesInfo().filter(name => name !== 'Immediate').length;

const counts = { opened: 0, ended: 0, dropped: 0 };
const input = createInterface({ input: process.stdin });
// What is opened lazily, is opened now: the streams that worker threads are given, too.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined);
await sleep(1);
const before = { descriptors: descriptors(), handles: handles() };

const proxies = (JSON.parse(process.argv[2] ?? '[]') as SniwayConfig[]).map(config => createProxy(config));
for (const proxy of proxies) {
  proxy.on('opened', () => counts.opened++);
  proxy.on('ended', () => counts.ended++);
  proxy.on('notice', ({ message }) => {
    counts.dropped += Number(/^([0-9]+) records of connections were dropped/.exec(message)?.[1] ?? 0);
  });
}
const bound = await Promise.all(proxies.map(proxy => proxy.start()));
say(`ports ${bound.map(([first]) => first?.port).join(' ')}`);

async function kill(): Promise<void> {
  await Promise.all(proxies.map(proxy => proxy.kill()));
  // Node closes the handles of a thread that has ended in a later turn.
  await sleep(50);
  const names = process.getActiveResourcesInfo().join();
  say(`left ${descriptors() - before.descriptors} ${handles() - before.handles} ${names}`);
}

input.on('line', line => {
  const [word = '', milliseconds] = line.split(' ');
  if (word === 'block') {
    say('blocking');
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, Number(milliseconds));
    say('back');
  } else if (word === 'counts') {
    say(`counts ${counts.opened} ${counts.ended} ${counts.dropped}`);
  } else if (word === 'kill') {
    void kill();
  } else if (word === 'exit') {
    process.exit(7);
  }
});
