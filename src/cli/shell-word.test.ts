import assert from 'node:assert/strict';
import { test } from 'node:test';
import { run } from '../../test/support/programs.ts';
import { shellWord } from './shell-word.ts';

test('shellWord() gives words that a shell reads back', async t => {
  const words = ['/etc/a-b_c.ech', 'two words', "it's", '$HOME `id` "x" \\', '*.ech', ''];
  const { stdout } = await run(t, ['sh', '-c', `printf '%s\\n' ${words.map(shellWord).join(' ')}`]);
  assert.deepEqual(stdout.split('\n').slice(0, -1), words);
  assert.equal(shellWord('/etc/a-b_c.ech'), '/etc/a-b_c.ech');
});

test('shellWord() lets no control character through', () => {
  assert.equal(shellWord('a\x1b[2Jb'), '"a\\x1b[2Jb"');
});
