import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { test } from 'node:test';
import { createAddressGuard } from '../backends/address-guard.ts';
import { ResolveError } from '../backends/names.ts';
import { checkConfig } from '../config/check-config.ts';
import type { SniwayConfig } from '../config/sniway-config.ts';
import type { RouteVerdict } from '../config/user-types.ts';
import type { SettleContext, UserQuestion } from '../decide.ts';
import type { Notice } from '../events.ts';
import { USER_CALLS_MAX } from '../limits.ts';
import type { Verdict } from '../verdict.ts';
import { copyOffer } from '../wire/hello-offer.ts';
import { UNIX_PEER } from '../wire/peer-address.ts';
import { UserCode } from './user-code.ts';

const QUESTION: UserQuestion = {
  kind: 'user',
  offer: copyOffer({ serverName: 'a.example.com', alpnProtocols: ['h2', 'bell\u0007'] }),
  client: { peer: UNIX_PEER, listener: 'unix:/a', ech: null },
  next: {
    kind: 'function',
    route: 'fn',
    proxy: null,
    options: { retry: false, idleMs: 0, halfCloseMs: 0, lifetimeMs: 0 },
  },
};

function createUserCode(config: Partial<SniwayConfig>) {
  const checked = checkConfig({ listen: 443, routes: [{ match: 'x', reject: 'close' }], ...config });
  const notices: Notice[] = [];
  const userCode = new UserCode(checked.functions, notice => notices.push(notice));
  const context: SettleContext = {
    resolver: { resolve: host => Promise.reject(new ResolveError(host)) },
    guard: createAddressGuard({ allowNets: [], denyNets: [], ownListeners: () => [] }),
    policies: checked.policies,
    timeoutMs: 1_000,
  };
  const ask = (): Promise<Verdict> => userCode.settle(QUESTION, {}, context);
  return { userCode, notices, ask };
}

function functionsOf(decide: () => RouteVerdict | Promise<RouteVerdict>) {
  return { routes: [{ name: 'fn', match: 'a.example.com', decide }] };
}

test('UserCode refuses beyond a number of functions under way, and takes new ones when these have ended', async () => {
  let answer: (verdict: RouteVerdict) => void = () => undefined;
  const answered = new Promise<RouteVerdict>(resolve => (answer = resolve));
  let calls = 0;
  const { ask } = createUserCode(
    functionsOf(() => {
      calls++;
      return answered;
    }),
  );
  const waiting = Array.from({ length: USER_CALLS_MAX }, ask);
  const refused = await ask();
  assert.deepEqual([refused.kind, refused.route], ['reject', 'fn']);
  assert.ok(refused.kind === 'reject');
  assert.deepEqual([refused.endReason, refused.detail], ['limit', 'functions under way']);
  assert.equal(calls, USER_CALLS_MAX);
  answer('10.0.0.5:443');
  const verdicts = await Promise.all(waiting);
  assert.ok(verdicts.every(({ kind }) => kind === 'relay'));
  assert.equal((await ask()).kind, 'relay');
});

test('UserCode.replace() asks other functions, and lets those under way end', async () => {
  let answer: (verdict: RouteVerdict) => void = () => undefined;
  const { userCode, ask } = createUserCode(functionsOf(() => new Promise(resolve => (answer = resolve))));
  const before = ask();
  const events = new EventEmitter();
  userCode.attach(events);
  const ended: unknown[] = [];
  const onEnd = (record: unknown): void => void ended.push(record);
  const functions = { routes: new Map([['fn', () => '10.0.0.2:443']]), hooks: { onEnd }, timeoutMs: 1_000 };
  userCode.replace(functions);
  const after = await ask();
  answer('10.0.0.1:443');
  const addresses = [await before, after].map(verdict =>
    verdict.kind === 'relay' && verdict.candidates[0]?.endpoint.kind === 'tcp'
      ? verdict.candidates[0].endpoint.address
      : verdict,
  );
  assert.deepEqual(addresses, ['10.0.0.1', '10.0.0.2']);
  events.emit('ended', 1);
  assert.deepEqual(ended, [1]);
  userCode.replace({ ...functions, hooks: {} });
  events.emit('ended', 2);
  assert.deepEqual(ended, [1]);
});

test('UserCode asks the function of a route that has gone while workers may not know of it', async () => {
  const { userCode, ask } = createUserCode(functionsOf(() => '10.0.0.1:1'));
  const none = { routes: new Map(), hooks: {}, timeoutMs: 1_000 };
  userCode.replace(none);
  assert.equal((await ask()).kind, 'relay');
  userCode.replace(none);
  assert.equal((await ask()).kind, 'reject');
});

test('UserCode refuses the connections of a route whose function has gone', async () => {
  const { userCode, notices, ask } = createUserCode(functionsOf(() => 'a:1'));
  const none = { routes: new Map(), hooks: {}, timeoutMs: 1_000 };
  userCode.replace(none);
  userCode.replace(none);
  const verdict = await ask();
  assert.ok(verdict.kind === 'reject');
  assert.deepEqual(
    [verdict.endReason, verdict.detail],
    ['internal-error', 'decide: the route has no function any more'],
  );
  assert.equal(notices.length, 1);
});

test('UserCode answers with the first failure when no backend can be dialled', async () => {
  const { ask } = createUserCode(
    functionsOf(() => ({ backends: ['a.internal:1', '{sni}:1', 'srv:_a._b.c'] })),
  );
  const verdict = await ask();
  assert.ok(verdict.kind === 'reject');
  assert.deepEqual([verdict.endReason, verdict.detail], ['dns-failed', 'a.internal']);
});

test('UserCode tells protocols escaped, and versions of clients that list none', async () => {
  const hellos: unknown[] = [];
  const { userCode, ask } = createUserCode({});
  userCode.replace({
    routes: new Map([['fn', hello => (hellos.push(hello), '10.0.0.1:1')]]),
    hooks: {},
    timeoutMs: 1_000,
  });
  await ask();
  const [{ alpnProtocols, tlsVersions }] = hellos as [{ alpnProtocols: string[]; tlsVersions: string[] }];
  assert.deepEqual(alpnProtocols, ['h2', String.raw`bell\x07`]);
  assert.deepEqual(tlsVersions, []);
});
