/** `npm start`: the demo of the README, driven with the very lines it prints. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { eventually, startBackend } from '../support/peers.ts';
import { needs, run, start } from '../support/programs.ts';
import { projectRoot } from '../support/project.ts';

const demoFile = join(projectRoot, 'dist', 'examples', 'demo', 'demo.js');

test('the demo prints curl lines that work, and an access line for each', needs('curl'), async t => {
  const demo = start(t, [process.execPath, demoFile], {
    env: { ...process.env, PORT: '0' },
  });
  await eventually('it is ready', () => demo.stderr().includes('Ctrl-C stops'), 15_000);
  const lines = demo.stderr().match(/^ {2}curl .*$/gm) ?? [];
  assert.equal(lines.length, 2, demo.stderr());
  const answers = await Promise.all(lines.map(line => run(t, ['sh', '-c', line])));
  assert.deepEqual(
    answers.map(({ stdout }) => stdout),
    ['hello from apple.example.com\n', 'hello from pear.example.com\n'],
  );
  await eventually('both are logged', () => demo.stdout().split('\n').length === 3);
  // Both sides close at once: whoever is first may be gone when the other's close_notify comes.
  assert.match(
    demo.stdout(),
    / apple\.example\.com route=apple\.example\.com .* end=(?:done|client-gone|backend-gone)/m,
  );
  demo.kill('SIGINT');
  assert.equal((await demo.finished).code, 0);
});

test('the demo says what to do about a port that is taken or none, and fails', async t => {
  const taken = await startBackend(t);
  for (const [port, expected] of [
    [String(taken.port), 1],
    ['65536', 2],
    ['abc', 2],
  ] as const) {
    const env = { ...process.env, PORT: port };
    const { code, stderr } = await run(t, [process.execPath, demoFile], '', { env });
    assert.equal(code, expected, stderr);
    assert.match(stderr, /PORT=9443 npm start/);
  }
});
