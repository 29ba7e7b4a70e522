/**
 * Random connections against the `sniway` command for as long as asked:
 *
 *   npm run soak -- --seconds 600 --engine linux
 *
 * Every byte is checked, and at the end the proxy's descriptors, pipes and memory are compared with its start.
 */
import { randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';
import { runSoak } from './run-soak.ts';

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    engine: { type: 'string', default: 'linux' },
    seed: { type: 'string', default: String(randomInt(2 ** 31)) },
  },
});
const engine = values.engine === 'portable' ? 'portable' : 'linux';
const report = await runSoak({ seconds: Number(values.seconds), engine, seed: Number(values.seed) });
process.stdout.write(`${JSON.stringify({ engine, seed: values.seed, ...report }, null, 2)}\n`);
process.exitCode = report.problems.length === 0 ? 0 : 1;
