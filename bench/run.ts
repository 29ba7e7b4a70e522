/**
 * Measures Sniway beside other proxies and beside no proxy at all, in turns (A B C, A B C, ...), so that what the machine
 * does meanwhile hits all alike. Only the ratios of one run mean anything.
 *
 *     npm run bench -- --only connections,download --contenders sniway-linux,haproxy,direct --rounds 5 --seconds 4
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import type { ParseArgsConfig } from 'node:util';
import { CASES } from './cases.ts';
import type { Case } from './cases.ts';
import { captureHello } from './capture-hello.ts';
import type { BackendPorts } from './load/backend.ts';
import type { LoadResult, LoadSettings } from './load/load.ts';
import { MODES } from './load/wire.ts';
import type { Mode } from './load/wire.ts';
import { formatTable } from './report.ts';
import type { Row } from './report.ts';
import type { Contender } from './rivals/contender.ts';
import { direct } from './rivals/direct.ts';
import { haproxy, haproxyTuned } from './rivals/haproxy.ts';
import { nginx } from './rivals/nginx.ts';
import { startContender } from './rivals/run-contender.ts';
import type { Running, StartPlan } from './rivals/run-contender.ts';
import { sniproxy } from './rivals/sniproxy.ts';
import { sniwayEchAccepted, sniwayEchGrease, sniwayEchPlain } from './rivals/sniway-ech.ts';
import {
  sniwayLinux,
  sniwayLinux2,
  sniwayLinuxSpread,
  sniwayLogBlocked,
  sniwayLogRead,
  sniwayPortable,
} from './rivals/sniway.ts';

const CONTENDERS: readonly Contender[] = [
  sniwayLinux,
  sniwayLinuxSpread,
  sniwayLinux2,
  sniwayPortable,
  haproxy,
  haproxyTuned,
  nginx,
  sniproxy,
  direct,
];
/** Measured only where they are named. */
const ASKED_FOR: readonly Contender[] = [
  sniwayLogRead,
  sniwayLogBlocked,
  sniwayEchPlain,
  sniwayEchGrease,
  sniwayEchAccepted,
];
const SERVER_NAME = 'bench.example.com';
const HOLD_NAME = 'hold.example.com';
const PROXY_CPU = 0;
const LOAD_CPU = 1;
/** A measurement during which other programs took more of the two processors is repeated, and the calmest one kept. */
const DISTURBANCE_MAX = 0.05;
const TRIES_MAX = 3;
/** Seconds a measurement may take beside its own. */
const SPARE_SECONDS = 90;

const USAGE = `npm run bench -- [--only CASES] [--contenders NAMES] [--rounds N] [--seconds S] [--warmup S] [--flows N] [--copy] [--json FILE]

cases:      ${CASES.map(({ name }) => name).join(',')}
contenders: ${[...CONTENDERS, ...ASKED_FOR].map(({ name }) => name).join(',')}`;

const { values: flags } = readFlags({
  options: {
    help: { type: 'boolean', default: false },
    only: { type: 'string', default: CASES.map(entry => entry.name).join(',') },
    contenders: { type: 'string', default: CONTENDERS.map(entry => entry.name).join(',') },
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '3' },
    warmup: { type: 'string', default: '1' },
    flows: { type: 'string' },
    copy: { type: 'boolean', default: false },
    json: { type: 'string' },
  },
});

/** Ends the program where a flag is none, or help is asked for. */
function readFlags<T extends ParseArgsConfig>(config: T): ReturnType<typeof parseArgs<T>> {
  try {
    const parsed = parseArgs(config);
    if (!('help' in parsed.values && parsed.values.help === true)) return parsed;
    console.log(USAGE);
    process.exit(0);
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : String(error)}\n\n${USAGE}`);
    process.exit(2);
  }
}

interface Bench {
  readonly cases: readonly Case[];
  readonly contenders: readonly Contender[];
  readonly rounds: number;
  readonly backend: BackendPorts;
  readonly backendPid: number;
  readonly hello: Buffer;
  readonly holdHello: Buffer;
}

function pick<T extends { readonly name: string }>(all: readonly T[], names: string): readonly T[] {
  return names.split(',').map(name => {
    const found = all.find(entry => entry.name === name);
    if (found === undefined) {
      console.error(`'${name}' is none of ${all.map(entry => entry.name).join(', ')}`);
      process.exit(2);
    }
    return found;
  });
}

async function runCalmly(settings: LoadSettings): Promise<LoadResult> {
  let calmest = await runLoad(settings);
  for (let tries = 1; tries < TRIES_MAX && calmest.disturbance > DISTURBANCE_MAX; tries++) {
    const result = await runLoad(settings);
    if (result.disturbance < calmest.disturbance) calmest = result;
  }
  return calmest;
}

/** Runs a program of load/ and gives the first line it prints; kills it when it is overdue. */
async function runLoad(settings: LoadSettings): Promise<LoadResult> {
  const child = spawn(process.execPath, [programFile('load'), JSON.stringify(settings)], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const limitMs = (settings.warmupSeconds + settings.seconds + SPARE_SECONDS) * 1000;
  const timer = setTimeout(() => child.kill('SIGKILL'), limitMs);
  let output = '';
  let complaint = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
  child.stderr
    .setEncoding('utf8')
    .on('data', (text: string) => (complaint = (complaint + text).slice(-2000)));
  const [code] = (await once(child, 'close')) as [number | null];
  clearTimeout(timer);
  if (code !== 0) throw new Error(/Error: .*/.exec(complaint)?.[0] ?? `the load ended with ${code}`);
  return JSON.parse(output) as LoadResult;
}

const programFile = (name: string): string => fileURLToPath(new URL(`load/${name}.js`, import.meta.url));

async function startBackend(
  lifetimeSeconds: number,
): Promise<{ ports: BackendPorts; pid: number; stop(): void }> {
  const settings = JSON.stringify({ cpu: LOAD_CPU, lifetimeSeconds, copy: flags.copy });
  const child = spawn(process.execPath, [programFile('backend'), settings], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  const ports = JSON.parse(line.toString()) as BackendPorts;
  return { ports, pid: child.pid!, stop: () => void child.kill('SIGKILL') };
}

/** Hellos by what they ask for, where a contender has its own. */
function ownHellos({ hello }: Contender): LoadSettings['ownHellos'] {
  if (hello === undefined) return {};
  const modes = Object.keys(MODES) as Mode[];
  return Object.fromEntries(modes.map(mode => [mode, hello(SERVER_NAME, mode).toString('base64')]));
}

interface Measured {
  readonly contender: Contender;
  readonly running: Running;
}

function loadSettings(
  bench: Bench,
  { name, settings }: Case,
  { contender, running }: Measured,
): LoadSettings {
  return {
    load: name,
    port: running.port,
    holdPort: running.holdPort,
    backendPort: bench.backend.port,
    hello: bench.hello.toString('base64'),
    holdHello: bench.holdHello.toString('base64'),
    ownHellos: ownHellos(contender),
    cpu: LOAD_CPU,
    proxyCpu: PROXY_CPU,
    backendPid: bench.backendPid,
    pid: running.pid,
    warmupSeconds: name === 'idle' ? 0 : Number(flags.warmup),
    seconds: name === 'idle' ? 0 : Number(flags.seconds),
    flows: settings.flows > 0 && flags.flows !== undefined ? Number(flags.flows) : settings.flows,
    held: settings.held,
    copy: flags.copy,
  };
}

interface OpenRow extends Row {
  readonly results: LoadResult[];
  problem: string | null;
}

async function measureOnce(bench: Bench, entry: Case, row: OpenRow, measured: Measured): Promise<void> {
  try {
    row.results.push(await runCalmly(loadSettings(bench, entry, measured)));
  } catch (error) {
    row.problem = error instanceof Error ? error.message : String(error);
  }
}

/** Runs one case: all contenders in turn, `rounds` times. */
async function measureCase(bench: Bench, entry: Case): Promise<readonly Row[]> {
  const rows = bench.contenders.map(({ name }): OpenRow => ({ contender: name, results: [], problem: null }));
  const plan: StartPlan = {
    cpu: PROXY_CPU,
    otherCpu: LOAD_CPU,
    routes: [
      { serverName: SERVER_NAME, backendPort: bench.backend.port },
      { serverName: HOLD_NAME, backendPort: bench.backend.holdPort },
    ],
  };
  const standing = new Map<Contender, Running>();
  const start = async (index: number): Promise<Running | null> => {
    const started = await startContender(bench.contenders[index]!, plan);
    if (!started.ok) rows[index]!.problem = started.why;
    return started.ok ? started.running : null;
  };
  try {
    for (let round = 0; round < bench.rounds; round++) {
      for (const [index, contender] of bench.contenders.entries()) {
        if (rows[index]!.problem !== null) continue;
        const running = standing.get(contender) ?? (await start(index));
        if (running === null) continue;
        await measureOnce(bench, entry, rows[index]!, { contender, running });
        if (entry.fresh) await running.stop();
        else standing.set(contender, running);
      }
    }
  } finally {
    for (const running of standing.values()) await running.stop();
  }
  return rows;
}

async function main(): Promise<void> {
  const cases = pick(CASES, flags.only);
  const contenders = pick([...CONTENDERS, ...ASKED_FOR], flags.contenders);
  const rounds = Number(flags.rounds);
  const measurements = cases.length * contenders.length * rounds;
  const secondsMax =
    measurements * TRIES_MAX * (Number(flags.seconds) + Number(flags.warmup) + SPARE_SECONDS);
  const backend = await startBackend(secondsMax);
  try {
    const hello = await captureHello(SERVER_NAME);
    const holdHello = await captureHello(HOLD_NAME);
    const bench: Bench = {
      cases,
      contenders,
      rounds,
      backend: backend.ports,
      backendPid: backend.pid,
      hello,
      holdHello,
    };
    const all: Record<string, readonly Row[]> = {};
    for (const entry of cases) {
      const rows = await measureCase(bench, entry);
      all[entry.name] = rows;
      console.log(`${formatTable(entry, rows)}\n`);
    }
    if (flags.json !== undefined) writeFileSync(flags.json, `${JSON.stringify(all, null, 2)}\n`);
  } finally {
    backend.stop();
  }
}

await main();
