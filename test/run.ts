// Runs every compiled test file with node:test. `npm run test:run -- wire routing` runs the files whose path
// holds one of the words.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const dist = dirname(dirname(fileURLToPath(import.meta.url)));
const words = process.argv.slice(2).filter(word => !word.startsWith('--'));
const flags = process.argv.slice(2).filter(word => word.startsWith('--'));

const files = readdirSync(dist, { recursive: true, encoding: 'utf8' })
  .filter(name => name.endsWith('.test.js'))
  // The compiler leaves the output of files that have been removed.
  .filter(name => existsSync(join(dist, '..', name.replace(/js$/, 'ts'))))
  .filter(name => words.length === 0 || words.some(word => name.includes(word)))
  .toSorted()
  .map(name => relative(process.cwd(), join(dist, name)));

if (files.length === 0) {
  console.error(`no test file matches ${words.join(' ')} below ${dist}; build first: npm run build`);
  process.exit(1);
}
const run = spawnSync(
  process.execPath,
  ['--test', '--test-concurrency=2', '--test-timeout=300000', '--test-reporter=spec', ...flags, ...files],
  { stdio: ['ignore', 'inherit', 'inherit'] },
);
process.exit(run.status ?? 1);
