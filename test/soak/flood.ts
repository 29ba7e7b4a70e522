/**
 * A flood of silent connections from one address, and what other clients feel of it: `SNIWAY_FLOOD=10000 node
 * dist/test/soak/flood.js` (needs `ulimit -n` above twice that). Prints one line for each engine.
 */
import { runFlood } from './run-flood.ts';

const size = Number(process.env['SNIWAY_FLOOD'] ?? 10_000);
for (const engine of ['portable', 'linux'] as const) {
  process.stdout.write(`${JSON.stringify(await runFlood(engine, { size, probes: 200 }))}\n`);
}
process.exit();
