/** Mutated hellos of real clients, answered as if no key had opened them. */
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { RetryResponder } from '../../src/ech/retry-responder.ts';
import type { RetryAnswer } from '../../src/ech/retry-responder.ts';
import { RETRY_FLIGHT_BYTES_MAX } from '../../src/limits.ts';
import { ByteReader } from '../../src/wire/byte-reader.ts';
import type { ClientHello } from '../../src/wire/client-hello.ts';
import { parseClientHello } from '../../src/wire/hello-reader.ts';
import { ALERTS } from '../../src/wire/tls-alert.ts';
import { captureNodeHello, captureProgramHello } from '../support/captures.ts';
import { isInstalled } from '../support/programs.ts';
import { createCorpus } from './corpus.ts';
import { mutateInside, mutateStream } from './mutate.ts';
import { Random } from './random.ts';
import { fuzzRuns, fuzzSeed } from './settings.ts';

const RUNS = fuzzRuns(4_000);
/** From so many runs on, each outcome must have come up. */
const RUNS_FOR_SHARES = 1_000;
const BORINGSSL = 'bssl-tool';
const NAME = 'public.example';
const ALERT_NUMBERS: ReadonlySet<number> = new Set(Object.values(ALERTS));
const PRIVATE_KEY = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
const IDENTITY = {
  certificates: [new Uint8Array(900)],
  privateKey: Uint8Array.from(PRIVATE_KEY.export({ format: 'der', type: 'pkcs8' })),
};

/** Hellos with shares that can be answered, some of them with ECH. */
async function createShares(t: TestContext): Promise<Uint8Array[]> {
  const options = { servername: NAME, minVersion: 'TLSv1.3' } as const;
  const curves = ['X25519', 'P-256', 'P-384'].map(ecdhCurve =>
    captureNodeHello(t, { ...options, ecdhCurve }),
  );
  const hellos = await Promise.all(curves);
  if (!isInstalled(BORINGSSL)) return hellos;
  const command = [BORINGSSL, 'client', '-connect', '127.0.0.1:{port}', '-server-name', NAME] as const;
  const greasy = await captureProgramHello(t, [
    ...command,
    '-ech-grease',
    '-grease',
    '-curves',
    'X25519:P-256',
  ]);
  return [...hellos, greasy, greasy];
}

/** A responder for whatever name the hello has. */
function answer(hello: ClientHello): RetryAnswer {
  const publicName = hello.serverName ?? NAME;
  const terms = { publicName, list: new Uint8Array(71), identity: IDENTITY };
  return new RetryResponder([terms], () => 0).answer(hello);
}

function checkAnswer(answered: RetryAnswer, hello: ClientHello): string {
  if (answered === null) {
    assert.equal(hello.serverName, null);
    return 'no name';
  }
  assert.notEqual(answered.kind, 'busy');
  if (answered.kind === 'illegal') {
    assert.ok(ALERT_NUMBERS.has(answered.alert), answered.code);
    return answered.code;
  }
  assert.ok(answered.kind === 'flight' && answered.bytes.length <= RETRY_FLIGHT_BYTES_MAX);
  const reader = new ByteReader(answered.bytes);
  const types: number[] = [];
  while (reader.remaining > 0) {
    types.push(reader.u8());
    assert.equal(reader.u16(), 0x0303);
    reader.skip(reader.u16());
  }
  assert.ok(reader.done);
  assert.deepEqual(types, hello.sessionId.length > 0 ? [22, 20, 23] : [22, 23]);
  return hello.ech === 'outer' ? 'told' : 'answered';
}

test('RetryResponder answers mutated hellos with one whole flight or an alert, and never throws', async t => {
  const shares = (await createShares(t)) as [Uint8Array, ...Uint8Array[]];
  const others = await createCorpus(t);
  const outcomes = new Map<string, number>();
  for (let run = 0; run < RUNS; run++) {
    const random = new Random(fuzzSeed + run);
    const mutate = random.once(4) ? mutateStream : mutateInside;
    const stream = mutate(random.pick(random.once(4) ? others : shares), random);
    const result = parseClientHello(stream);
    if (result.kind !== 'complete') continue;
    try {
      const outcome = checkAnswer(answer(result.hello), result.hello);
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    } catch (cause) {
      const bytes = Buffer.from(stream).toString('hex');
      throw new Error(`SNIWAY_FUZZ_SEED=${fuzzSeed + run} SNIWAY_FUZZ_RUNS=1, stream ${bytes}`, { cause });
    }
  }
  t.diagnostic([...outcomes].map(([outcome, count]) => `${outcome} ${count}`).join(', '));
  if (RUNS < RUNS_FOR_SHARES) return;
  assert.ok((outcomes.get('answered') ?? 0) > RUNS / 40);
  for (const code of ['no-tls13', 'missing-extension', 'key-share-malformed', 'key-share-illegal']) {
    assert.ok(outcomes.has(code), code);
  }
});
