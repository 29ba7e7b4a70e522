/**
 * Mutated hellos against the parser's promises, against a second parser, and against OpenSSL.
 *
 * For a longer run, say a million hellos: `SNIWAY_FUZZ_RUNS=1000000 node dist/test/run.js fuzz/hello-mutations`. To
 * repeat a failure, set SNIWAY_FUZZ_SEED to the number it names and SNIWAY_FUZZ_RUNS to 1; hellos of Node's own
 * client differ at each run, so that the bytes are shown too.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { describeResult, factsOf, readByteByByte, readUpTo } from '../support/hello-facts.ts';
import { startHelloJudge } from '../support/hello-judge.ts';
import type { HelloJudge } from '../support/hello-judge.ts';
import { parseClientHello } from '../../src/wire/hello-reader.ts';
import type { HelloComplete, HelloResult } from '../../src/wire/hello-reader.ts';
import { createCorpus } from './corpus.ts';
import { mutateInside, mutateStream } from './mutate.ts';
import { alpnOf, canonicalNaively, joinNaively, namesOf, splitNaively } from './naive-hello.ts';
import { Random } from './random.ts';
import { fuzzRuns, fuzzSeed } from './settings.ts';

const RUNS = fuzzRuns(20_000);
/** One hello for OpenSSL in so many. */
const OPENSSL_SHARE = 20;
/** From so many runs on, each outcome must have come up. */
const RUNS_FOR_SHARES = 1_000;

function listCounts(counts: ReadonlyMap<string, number>): string {
  return [...counts].map(([outcome, count]) => `${outcome} ${count}`).join(', ');
}

/** Runs a check; a failure of it tells how to repeat it. */
async function attempt(seed: number, stream: Uint8Array, check: () => unknown): Promise<void> {
  try {
    await check();
  } catch (cause) {
    const bytes = Buffer.from(stream).toString('hex');
    throw new Error(`SNIWAY_FUZZ_SEED=${seed} SNIWAY_FUZZ_RUNS=1, stream ${bytes}`, { cause });
  }
}

/** The promises that hold for any stream. */
function checkStream(stream: Uint8Array, random: Random): HelloResult {
  const result = parseClientHello(stream);
  const described = describeResult(result);
  assert.ok(['complete', 'incomplete', 'invalid'].includes(result.kind));
  assert.equal(describeResult(parseClientHello(Uint8Array.from(stream))), described, 'another time');
  assert.equal(describeResult(readByteByByte(stream)), described, 'byte by byte');
  const cut = random.below(stream.length);
  assert.equal(describeResult(readUpTo(stream, [cut])), described, `cut at ${cut}`);
  if (result.kind === 'complete') checkComplete(stream, result, random);
  return result;
}

function checkComplete(stream: Uint8Array, { hello, consumed }: HelloComplete, random: Random): void {
  for (const end of [0, 1, consumed - 1, random.below(consumed), random.below(consumed)]) {
    assert.equal(parseClientHello(stream.subarray(0, end)).kind, 'incomplete', `first ${end} bytes`);
  }
  const facts = factsOf(hello);
  assert.match(facts.ja3, /^[0-9a-f]{32}$/);
  assert.match(facts.ja4, /^t(?:\d\d|s[23])[di]\d{4}[0-9A-Za-z]{2}_[0-9a-f]{12}_[0-9a-f]{12}$/);
  if (hello.serverName !== null) {
    assert.match(hello.serverName, /^[a-z0-9_-]+(\.[a-z0-9_-]+)*$/);
    assert.ok(hello.serverName.length <= 253);
  }
  const naive = splitNaively(joinNaively(stream).body);
  assert.equal(joinNaively(stream).consumed, consumed);
  assert.deepEqual(facts.cipherSuites, naive.cipherSuites);
  assert.deepEqual(
    facts.extensions,
    naive.extensions.map(({ type }) => type),
  );
  assert.deepEqual(facts.alpnProtocols, alpnOf(naive));
  const names = namesOf(naive);
  assert.ok(names.length <= 1, names.join(' '));
  const [name] = names;
  assert.equal(facts.serverName, name === undefined ? null : canonicalNaively(name));
  const isAddress = name !== undefined && facts.serverName === null;
  assert.equal(facts.rawName, isAddress ? Buffer.from(name, 'latin1').toString('hex') : null);
}

test('parseClientHello() keeps its promises for mutated hellos', async t => {
  t.diagnostic(`SNIWAY_FUZZ_SEED=${fuzzSeed} SNIWAY_FUZZ_RUNS=${RUNS}`);
  const corpus = await createCorpus(t);
  const seen = new Map<string, number>();
  for (let run = 0; run < RUNS; run++) {
    const random = new Random(fuzzSeed + run);
    const stream = mutateStream(random.pick(corpus), random);
    await attempt(fuzzSeed + run, stream, () => {
      const result = checkStream(stream, random);
      const outcome = result.kind === 'invalid' ? result.code : result.kind;
      seen.set(outcome, (seen.get(outcome) ?? 0) + 1);
    });
  }
  t.diagnostic(listCounts(seen));
  if (RUNS < RUNS_FOR_SHARES) return;
  assert.ok((seen.get('complete') ?? 0) > RUNS / 20);
  assert.ok((seen.get('incomplete') ?? 0) > RUNS / 100);
  assert.ok(seen.size > 10, `${seen.size} outcomes`);
});

async function acceptedBy(judge: HelloJudge, corpus: readonly Uint8Array[]): Promise<Uint8Array[]> {
  const accepted: Uint8Array[] = [];
  for (const stream of corpus) {
    if ((await judge.judge(stream)).names.length > 0) accepted.push(stream);
  }
  return accepted;
}

test('parseClientHello() reads the same name as OpenSSL wherever both accept one', async t => {
  const runs = Math.ceil(RUNS / OPENSSL_SHARE);
  t.diagnostic(`SNIWAY_FUZZ_SEED=${fuzzSeed}, ${runs} hellos`);
  const judge = await startHelloJudge(t);
  const [first, ...others] = await acceptedBy(judge, await createCorpus(t));
  assert.ok(
    first !== undefined && others.length >= 3,
    `OpenSSL accepts ${others.length + 1} hellos of the corpus`,
  );
  let bothAccept = 0;
  const onlyOpenssl = new Map<string, number>();
  for (let run = 0; run < runs; run++) {
    const random = new Random(fuzzSeed + run);
    const stream = mutateInside(random.pick([first, ...others]), random);
    await attempt(fuzzSeed + run, stream, async () => {
      const result = parseClientHello(stream);
      const { names } = await judge.judge(stream);
      if (names.length === 0) return;
      if (result.kind !== 'complete') {
        const outcome = result.kind === 'invalid' ? result.code : result.kind;
        onlyOpenssl.set(outcome, (onlyOpenssl.get(outcome) ?? 0) + 1);
        return;
      }
      bothAccept++;
      const { serverName, rawName } = result.hello;
      assert.deepEqual(names.map(canonicalNaively), [serverName]);
      if (rawName !== null) assert.deepEqual(names, [Buffer.from(rawName).toString('latin1')]);
    });
  }
  t.diagnostic(`${bothAccept} accepted by both; by OpenSSL only: ${listCounts(onlyOpenssl)}`);
  if (RUNS >= RUNS_FOR_SHARES) assert.ok(bothAccept > runs / 10, `${bothAccept} of ${runs}`);
});
