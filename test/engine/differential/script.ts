/** Random scripts of one connection: what its client and its backend do, step by step. */
import type { Random } from '../../fuzz/random.ts';
import { buildClientHello, fragmentRecords } from '../../support/hello-builder.ts';

export type PeerName = 'client' | 'backend';

export type Step =
  /** The client connects and sends its segments, which may be less than a hello. */
  | { readonly kind: 'hello'; readonly segments: readonly Uint8Array[] }
  /** The backend accepts and reads exactly these bytes. */
  | { readonly kind: 'accept'; readonly expected: Uint8Array }
  /** The backend accepts and goes at once, without reading. */
  | { readonly kind: 'accept-and-leave'; readonly how: 'close' | 'reset' }
  /** Bytes one way, or both ways at once; `stallMs` is how long nobody reads. */
  | {
      readonly kind: 'transfer';
      readonly up: number;
      readonly down: number;
      readonly fill: number;
      readonly stallMs: number;
    }
  /** Waits until the proxy has accepted the client: of one that left before, Node could not tell the address. */
  | { readonly kind: 'be-known' }
  | { readonly kind: 'pause'; readonly ms: number }
  /** Sends its end of file, which the other side gets to see. */
  | { readonly kind: 'finish'; readonly who: PeerName }
  | { readonly kind: 'reset'; readonly who: PeerName }
  /** The client closes or resets, with nobody to tell of it. */
  | { readonly kind: 'leave'; readonly how: 'close' | 'reset' }
  /** The client reads what it gets to the end. */
  | { readonly kind: 'read-refusal' };

export interface Script {
  readonly steps: readonly Step[];
  /** In words, for a failure. */
  readonly told: readonly string[];
  /** Whether every byte is accounted for, so that the counts of the records must agree. */
  readonly exact: boolean;
  /** Whether a kernel that holds silent clients back may never show this one. */
  readonly unseen?: boolean;
}

const BULK_BYTES = 3_000_000;

export function writeScript(random: Random, name: string): Script {
  const kind = random.below(10);
  if (kind < 6) return tell(relayScript(random, name), true);
  if (kind === 6) return tell(refusedScript(random), true);
  if (kind === 7) return tell(garbageScript(random, name), true);
  if (kind === 8) return leavingScript(random, name);
  return tell(earlyEndScript(random, name), false);
}

function tell(steps: readonly Step[], exact: boolean): Script {
  return { steps, exact, told: steps.map(describeStep) };
}

function describeStep(step: Step): string {
  const parts = Object.entries(step).map(([key, value]: [string, unknown]) => {
    if (value instanceof Uint8Array) return `${key} ${value.length} bytes`;
    if (Array.isArray(value)) return `${key} ${value.map((bytes: Uint8Array) => bytes.length).join('+')}`;
    return key === 'kind' ? String(value) : `${key} ${String(value)}`;
  });
  return `[${parts.join(' ')}]`;
}

function helloFor(random: Random, name: string): Uint8Array {
  const padding = random.pick([0, 0, 50, 1_800, 6_000]);
  const hello = buildClientHello({
    serverName: random.once(4) ? name.toUpperCase() : name,
    extensions: padding === 0 ? [] : [{ type: 21, data: new Uint8Array(padding) }],
  });
  return random.once(4) ? fragmentRecords(hello, random.pick([1, 7, 100, 1_000])) : hello;
}

function cut(random: Random, bytes: Uint8Array): Uint8Array[] {
  const segments: Uint8Array[] = [];
  const most = random.pick([bytes.length, bytes.length, 1_400, 200, 40]);
  for (let at = 0; at < bytes.length;) {
    const length = 1 + random.below(Math.min(most, bytes.length - at));
    segments.push(bytes.subarray(at, at + length));
    at += length;
  }
  return random.once(3) ? [bytes] : segments;
}

function size(random: Random): number {
  return random.pick([0, 1, 100, 5_000, 65_536, 70_000, 300_000, random.below(BULK_BYTES), BULK_BYTES]);
}

function relayScript(random: Random, name: string): Step[] {
  const early = random.once(3) ? Buffer.from(random.bytes(1 + random.below(3_000))) : Buffer.alloc(0);
  const all = Buffer.concat([helloFor(random, name), early]);
  const steps: Step[] = [
    { kind: 'hello', segments: cut(random, all) },
    { kind: 'accept', expected: all },
  ];
  const open = { client: true, backend: true };
  for (let count = random.below(5); count > 0; count--) {
    if (random.once(6)) steps.push({ kind: 'pause', ms: random.below(30) });
    if (random.once(6)) {
      const who = random.pick(['client', 'backend'] as const);
      if (open[who] && open.client && open.backend) steps.push({ kind: 'finish', who });
      open[who] = false;
      continue;
    }
    const up = open.client ? size(random) : 0;
    const down = open.backend ? size(random) : 0;
    const fill = random.below(256);
    steps.push({ kind: 'transfer', up, down, fill, stallMs: random.once(3) ? random.below(60) : 0 });
  }
  return [...steps, ...relayEnd(random, open)];
}

/** Both sides have an end: in order, or by a reset of either. */
function relayEnd(random: Random, open: { client: boolean; backend: boolean }): Step[] {
  const still = (['client', 'backend'] as const).filter(who => open[who]);
  if (still.length === 2 && random.once(3)) {
    return [{ kind: 'reset', who: random.pick(['client', 'backend']) }];
  }
  if (random.once(2)) still.reverse();
  return still.map(who => ({ kind: 'finish', who }));
}

function refusedScript(random: Random): Step[] {
  const name = random.pick(['unknown.example.org', 'refused.example.com', 'denied.example.com', '127.0.0.1']);
  return [{ kind: 'hello', segments: cut(random, helloFor(random, name)) }, { kind: 'read-refusal' }];
}

/** A hello with a byte changed ahead of its name mostly is none any more; noise hardly ever is one. */
function garbageScript(random: Random, name: string): Step[] {
  const hello = Uint8Array.from(buildClientHello({ serverName: `no.${name}` }));
  if (random.once(3)) {
    hello.set(random.bytes(9));
    hello[0] = random.pick([0, 1, 20, 21, 23, 71]);
  } else {
    // Lengths that disagree: of the session identifier, the cipher suites, the extensions.
    hello[random.pick([43, 77, 85])] = 255;
  }
  return [{ kind: 'hello', segments: [hello] }, { kind: 'read-refusal' }];
}

function leavingScript(random: Random, name: string): Script {
  const hello = helloFor(random, name);
  const part = hello.subarray(0, random.below(hello.length));
  const how = random.pick(['close', 'reset'] as const);
  const steps: Step[] = [
    { kind: 'hello', segments: part.length === 0 ? [] : cut(random, part) },
    part.length === 0 ? { kind: 'pause', ms: 20 } : { kind: 'be-known' },
    { kind: 'leave', how },
  ];
  return { ...tell(steps, true), unseen: part.length === 0 && how === 'reset' };
}

function earlyEndScript(random: Random, name: string): Step[] {
  return [
    { kind: 'hello', segments: [helloFor(random, name)] },
    { kind: 'accept-and-leave', how: random.pick(['close', 'reset']) },
    { kind: 'read-refusal' },
  ];
}
